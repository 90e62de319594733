import { rm } from 'node:fs/promises'
import { expect } from 'chai'
import { request } from 'undici'
import { pattern } from '../../scripts/street/child.ts'
import { countLeftovers, findLeftovers } from '../../scripts/street/leftovers.ts'
import { createProcesses, type Processes } from '../../scripts/street/processes.ts'
import { reachInto } from '../../scripts/street/reach.ts'
import { runCommand } from '../../scripts/street/run-command.ts'
import { createRunFolder, type RunFolder } from '../../scripts/street/run-folder.ts'
import { createStreet, type Home, type Street } from '../../scripts/street/street.ts'

const serveOneWord = `
  const server = require('http').createServer((request, reply) => reply.end('hello ' + request.socket.remoteAddress))
  server.listen(8080, '::', () => console.log('ready'))`
const receive = `
  let bytes = 0, start = 0
  require('net').createServer((socket) => socket.on('data', (chunk) => {
    start ||= performance.now()
    bytes += chunk.length
  }).on('end', () => console.log(JSON.stringify({ bytes, ms: performance.now() - start }))))
    .listen(9090, () => console.log('ready'))`

describe('a street of homes', function () {
  this.timeout(60_000)
  let run: RunFolder
  let processes: Processes
  let street: Street
  let open: Home
  let hidden: Home
  let hostBefore: string

  before(async () => {
    run = await createRunFolder()
    processes = createProcesses({ run })
    hostBefore = await hostNetwork()
    street = await createStreet({ run })
    open = await street.addHome({ label: 'open' })
    hidden = await street.addHome({
      label: 'hidden',
      nat: true,
      shape: { upBitsPerS: 10e6, downBitsPerS: 40e6 },
    })
  })

  after(async () => {
    await processes.stopAll()
    await street.dispose()
    await street.dispose() // twice is harmless
    await rm(run.path, { recursive: true, force: true })
    const left = await findLeftovers({ run, namespaces: street.namespaces.all() })
    expect(countLeftovers(left), JSON.stringify(left)).to.equal(0)
    expect(await hostNetwork()).to.equal(hostBefore)
  })

  const serve = async (at: { namespace: { path: string } }, name: string, code: string) => {
    const child = processes.start({
      name,
      namespace: at.namespace.path,
      command: [process.execPath, '-e', code],
    })
    await child.waitFor(pattern(/^ready$/))
    return child
  }
  const get = (from: Home['namespace'], url: string) =>
    from.script(`exec "${process.execPath}" -e '
      fetch("${url}", { signal: AbortSignal.timeout(1000) })
        .then((reply) => reply.text()).then(console.log, () => console.log("unreachable"))
        .then(() => process.exit())'`)

  it('reaches the internet from every home, over IPv4 and IPv6', async () => {
    await serve(street.internet, 'site', serveOneWord)
    const { ipv4, ipv6 } = street.internet
    expect(await get(open.namespace, `http://${ipv4}:8080`)).to.contain(open.ipv4)
    expect(await get(open.namespace, `http://[${ipv6}]:8080`)).to.contain(open.ipv6)
    expect(await get(hidden.namespace, `http://${ipv4}:8080`)).to.contain(hidden.publicIpv4)
    expect(await get(hidden.namespace, `http://[${ipv6}]:8080`)).to.contain(hidden.ipv6)
  })

  it('lets nobody in through a NAT router, but its LAN neighbours', async () => {
    await serve(hidden, 'nas-client', serveOneWord)
    const nas = await street.addNeighbour(hidden, 'nas')
    expect(await get(nas.namespace, `http://${hidden.ipv4}:8080`)).to.contain(nas.ipv4)
    expect(await get(open.namespace, `http://${hidden.publicIpv4}:8080`)).to.contain('unreachable')
    expect(await get(open.namespace, `http://[${hidden.ipv6}]:8080`)).to.contain('unreachable')
  })

  it('holds a home to its upload and download rates', async () => {
    const rate = async (from: Home, to: Home | Street['internet'], name: string, bytes: number) => {
      const receiver = await serve(to, name, receive)
      await from.namespace.script(`exec "${process.execPath}" -e '
        require("net").connect(9090, "${to.ipv4}").end(Buffer.alloc(${bytes}))'`)
      const line = await receiver.waitFor(pattern(/^\{.*/))
      const { bytes: got, ms } = JSON.parse(line[0])
      expect(got).to.equal(bytes)
      await receiver.stop()
      return (got * 8) / ms / 1e3 // Mbit/s
    }
    expect(await rate(hidden, street.internet, 'up', 3e6)).to.be.within(7, 11.5)
    const back = await street.addHome({ label: 'slow', shape: { downBitsPerS: 40e6 } })
    expect(await rate(open, back, 'down', 10e6)).to.be.within(28, 46)
  })

  it('unplugs and replugs a home', async () => {
    const url = `http://${street.internet.ipv4}:8080`
    await open.setConnected(false)
    expect(await get(open.namespace, url)).to.contain('unreachable')
    await open.setConnected(true)
    expect(await get(open.namespace, url)).to.contain('hello')
  })

  it('is reached by this process through a relay', async () => {
    const reach = await reachInto(street.desk.namespace, { processes, run })
    const agent = reach.agent()
    const { body } = await request(`http://${street.internet.ipv4}:8080/`, { dispatcher: agent })
    expect(await body.text()).to.contain('203.0.113.1')
    await agent.close()
    await reach.stop()
  })

  it('removes what it made when a home could not be made', async () => {
    const other = await createRunFolder()
    const failing = await createStreet({ run: other })
    await failing.addHome({ label: 'x' })
    await failing.addHome({ label: 'x' }).then(
      () => expect.fail('two homes of one name'),
      (error) => expect(error).to.have.property('code', 'COMMAND_FAILED'),
    )
    await failing.dispose()
    const left = await findLeftovers({ run: other, namespaces: failing.namespaces.all() })
    expect(countLeftovers(left), JSON.stringify(left)).to.equal(0)
    await rm(other.path, { recursive: true })
  })
})

/** Interfaces, routes and firewall of the machine's own namespace, but for counters. */
async function hostNetwork(): Promise<string> {
  const parts = await Promise.all([
    runCommand(['ip', '-o', 'address']),
    runCommand(['ip', 'route']),
    runCommand(['ip', '-6', 'route']),
    runCommand(['iptables-save']).catch(() => ''),
  ])
  return parts.join('\n').replaceAll(/^#.*$|\d+sec|\[\d+:\d+\]/gm, '')
}
