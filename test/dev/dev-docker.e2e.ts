/** `potluck dev` with real engines, each in a network namespace of its own, and a real registry. */
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { networkInterfaces } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import Docker from 'dockerode'
import { missingForEngines } from '../../scripts/dev/engine-need.ts'
import { pushImage, smallImage } from '../../scripts/image/index.ts'
import {
  createProcesses,
  createRunFolder,
  pattern,
  runCommand,
} from '../../scripts/street/index.ts'
import { thisMachine } from '../../scripts/street/machine.ts'
import { createNamespaces } from '../../scripts/street/namespaces.ts'
import { type Client, createClient } from './client.ts'
import { type Dev, startDev } from './dev-process.ts'
import { hostForwarding, leftBehind, nothing, untilNoProcess } from './left-behind.ts'

const missing = missingForEngines(thisMachine(process.env))
const suite = missing === undefined ? describe : describe.skip
const why = missing === undefined ? '' : ` (skipped: it needs ${missing})`

suite(`potluck dev with real engines${why}`, function () {
  this.timeout(180_000)
  let forwardingBefore: string | undefined
  let dev: Dev
  let client: Client

  before(async () => {
    forwardingBefore = await hostForwarding()
    dev = await startDev()
    client = createClient(dev.ready)
  })
  after(async () => {
    await dev.end('SIGTERM') // it has ended already, unless a test failed
    await untilNoProcess(dev.child.pid!, 60_000)
  })

  async function expectForwardingAsBefore(): Promise<void> {
    const now = await hostForwarding()
    if (now !== undefined && forwardingBefore !== undefined) {
      expect(now, 'net.ipv4.ip_forward').to.equal(forwardingBefore)
    }
  }

  it('runs its image, on a node each', async () => {
    await client.create('hello', dev.ready.image, 3)
    const instances = await client.running('hello', 3)
    expect(new Set(instances.map((it) => it.machine_id)).size).to.equal(3)
    const containers = await Promise.all(
      [1, 2, 3].map((number) => containersOf(dev, `node-${number}`)),
    )
    expect(containers.map((lines) => lines.length)).to.deep.equal([1, 1, 1])
    await client.remove('hello')
    await client.until(async () => (await client.get('hello').catch(() => 'gone')) === 'gone')
  })

  it('runs what was put into its registry', async () => {
    const { registry, image } = dev.ready
    await pushImage(await smallImage({ version: 2 }), {
      registry: `http://${registry}`,
      repository: 'acme/pushed',
      tag: '2',
    })
    const copied = `${registry}/acme/copied:1`
    await runCommand([
      ...['skopeo', 'copy', '--src-tls-verify=false', '--dest-tls-verify=false'],
      ...[`docker://${image}`, `docker://${copied}`],
    ])
    for (const [name, reference] of [
      ['pushed', `${registry}/acme/pushed:2`],
      ['copied', copied],
    ] as const) {
      await client.create(name, reference, 1)
      await client.running(name, 1)
    }
  })

  it('lets containers reach the internet and nothing of this machine', async () => {
    const node = (await containersOf(dev, 'node-1')).length > 0 ? 'node-1' : 'node-2'
    const [container] = await containersOf(dev, node)
    const { State } = await dockerOf(dev, node).getContainer(container!).inspect()
    const reaches = (url: string) =>
      runCommand([
        ...['nsenter', `--net=/proc/${State.Pid}/ns/net`, process.execPath, '-e'],
        `fetch('${url}', { signal: AbortSignal.timeout(1500) }).then((reply) => reply.text())
          .then(console.log, () => console.log('no')).then(() => process.exit())`,
      ]).then((text) => text.trim())
    await using world = await startWorld()
    expect(await reaches(world.internet)).to.equal('internet')
    for (const url of world.closed) {
      expect(await (await fetch(url)).text()).to.equal('host')
      expect(await reaches(url), url).to.equal('no')
    }
    expect(await reaches(dev.ready.baseUrl)).to.equal('no')
  })

  it('leaves nothing at SIGINT, with containers running', async () => {
    expect(await dev.end('SIGINT')).to.equal(0)
    expect(await leftBehind(dev.child.pid!)).to.deep.equal(nothing)
    await expectForwardingAsBefore()
  })

  it('undoes what it switched on, also beside another', async () => {
    const one = await startDev('--nodes', '1')
    const two = await startDev('--nodes', '1')
    await one.end('SIGTERM')
    const client = createClient(two.ready)
    await client.create('hello', two.ready.image, 1)
    await client.running('hello', 1)
    await two.end('SIGTERM')
    expect(await leftBehind(one.child.pid!)).to.deep.equal(nothing)
    expect(await leftBehind(two.child.pid!)).to.deep.equal(nothing)
    await expectForwardingAsBefore()
  })

  it('is cleaned up after kill -9 by itself and by the next run', async () => {
    const killed = await startDev('--nodes', '2')
    const first = createClient(killed.ready)
    await first.create('hello', killed.ready.image, 2)
    await first.running('hello', 2)
    // One node with it: its engine and its guard have nobody to stop them but the next run.
    process.kill(killed.ready.processes['node-1']!, 'SIGKILL')
    await killed.end('SIGKILL')
    await sleep(500)
    const next = await startDev('--nodes', '2')
    expect(next.story()).to.contain('removing what potluck-dev-')
    expect(await leftBehind(killed.child.pid!)).to.deep.equal(nothing)
    const second = createClient(next.ready)
    await second.create('hello', next.ready.image, 2)
    await second.running('hello', 2)
    await next.end('SIGTERM')
    expect(await leftBehind(next.child.pid!)).to.deep.equal(nothing)
    await expectForwardingAsBefore()
  })
})

/** The API of a node's engine. */
function dockerOf({ ready }: Dev, node: string): Docker {
  return new Docker({ socketPath: `${ready.folder}/${node}/run/engine/docker.sock` })
}

/** Ids of the containers that a node's engine runs. */
async function containersOf(dev: Dev, node: string): Promise<string[]> {
  return (await dockerOf(dev, node).listContainers()).map(({ Id }) => Id)
}

/** A host on "the internet", one hop from this machine; and a server on this machine itself. */
async function startWorld() {
  const run = await createRunFolder()
  const namespaces = await createNamespaces({ run })
  const processes = createProcesses({ run })
  const server = createServer((_request, reply) => reply.end('host')).listen(0, '0.0.0.0')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const host = await namespaces.create('world')
  await runCommand([
    'ip',
    'link',
    'add',
    'pldevt',
    'type',
    'veth',
    ...['peer', 'name', 'eth0', 'netns', host.name],
  ])
  await runCommand(['ip', 'address', 'add', '203.0.113.1/24', 'dev', 'pldevt'])
  await runCommand(['ip', 'link', 'set', 'pldevt', 'up'])
  await host.script('ip address add 203.0.113.10/24 dev eth0; ip link set eth0 up')
  const site = processes.start({
    name: 'site',
    namespace: host.path,
    command: [
      process.execPath,
      '-e',
      `require('http')
      .createServer((request, reply) => reply.end('internet'))
      .listen(80, () => console.log('ready'))`,
    ],
  })
  await site.waitFor(pattern(/^ready$/))
  const own = Object.entries(networkInterfaces()).flatMap(([device, addresses]) =>
    device === 'lo' || device === 'pldevt' ? [] : (addresses ?? []),
  )
  return {
    internet: 'http://203.0.113.10/',
    closed: own
      .filter(({ family }) => family === 'IPv4')
      .map(({ address }) => `http://${address}:${port}/`),
    async [Symbol.asyncDispose]() {
      server.close()
      await processes.stopAll()
      await namespaces.dispose()
      await rm(run.path, { recursive: true, force: true })
    },
  }
}
