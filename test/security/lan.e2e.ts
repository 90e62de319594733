/**
 * A hostile container against all that a home has: its own node and the engine's bridges, other
 * instances, neighbours and router, the processes of the network, what clouds and LANs answer by
 * themselves. None may show any sign of life; the internet must.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { networkInterfaces } from 'node:os'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import type Docker from 'dockerode'
import { pushImage, smallImage } from '../../scripts/image/index.ts'
import { smallImagePort } from '../../scripts/image/small-image.ts'
import { runCommand } from '../../scripts/street/run-command.ts'
import type { Member } from '../chaos/member.ts'
import { addSurroundings, internet, type Surroundings } from './lan-homes.ts'
import { describeWithEngines } from './needs.ts'
import type { Door, Life } from './prober.ts'
import { startTarget, type Target } from './target.ts'

/** Served by all of the home's surroundings: what homes have, and what others would look for. */
const ports = [22, 53, 80, 443, 445, 2375, 2376, 4001, 7070, 8080]
const internetPort = 7070
const mailPorts = [25, 465, 587]
const prober = fileURLToPath(new URL('prober.ts', import.meta.url))

type Container = Readonly<{
  docker: Docker
  id: string
  pid: number
  ipv4: string
  gateway: string
}>

describeWithEngines('a hostile container in a home', [], function () {
  this.timeout(180_000)
  let target: Target
  let node: Member
  let other: Member
  let around: Surroundings | undefined
  let hostile: Container
  let doors: readonly Door[]

  before(async () => {
    target = await startTarget({ engine: 'docker', nodes: 2 })
    const [first, second] = target.nodes
    node = first!
    other = second!
    around = await addSurroundings(target, node, [...ports, ...mailPorts])
    await target.reconfigure(node, (settings) => {
      settings.lend = { allocations: 2 }
    })
    const image = `${target.registry.address}/hello:latest`
    await pushImage(await smallImage(), { registry: target.registry.url, repository: 'hello' })
    const container = { image, resources: { cpu: 1, memory: 1_024 } }
    // Two of one group are never on one node; three groups fill both.
    for (const name of ['one', 'two', 'three']) await target.api.create({ name, container })
    for (const name of ['one', 'two', 'three']) await target.api.running(name, 1)
    const here = await containersOf(target, node)
    const there = await containersOf(target, other)
    expect(here).to.have.length(2)
    hostile = here[0]!
    // Every engine numbers its networks alike: another node's container may have our address.
    const victims = [...here.slice(1), ...there].filter(({ ipv4 }) => ipv4 !== hostile.ipv4)
    doors = [
      ...allDoors(around.addresses, ports),
      ...allDoors(await addressesOf(node), ports),
      ...allDoors([hostile.gateway, ...victims.map(({ gateway }) => gateway)], ports),
      ...victims.flatMap(({ ipv4 }) => allDoors([ipv4], [smallImagePort, 22])),
      ...(await processDoors()),
      ...broadcasts,
      // A chef's address that sent spam is a chef's loss.
      ...mailPorts.map((port) => ({ over: 'tcp', host: internet, port }) as const),
    ]
  })
  after(async () => {
    await around?.stop()
    await target?.stop()
  })

  /** Every address that the node has, link-local ones as a container would write them. */
  const addressesOf = async (member: Member): Promise<readonly string[]> => {
    const lines = await runCommand(target.insideNode(member, ['ip', '-o', 'address', 'show']))
    return [...lines.matchAll(/inet6? (\S+?)\//g)].flatMap(([, address = '']) => {
      if (address === '127.0.0.1' || address === '::1') return []
      return [address.startsWith('fe80:') ? `${address}%eth0` : address]
    })
  }

  /** Where the coordinator, its API, the cache, the registry and both nodes listen. */
  const processDoors = async (): Promise<readonly Door[]> => {
    const device = (await runCommand(target.insideNode(node, ['ip', 'route']))).match(
      /default via (\S+)/,
    )
    const host = device?.[1] ?? ''
    expect(
      Object.values(networkInterfaces())
        .flat()
        .map((it) => it?.address),
    ).to.include(host)
    const api = Number(new URL(target.facts.baseUrl).port)
    const registry = Number(new URL(target.registry.url).port)
    const nodes = await Promise.all([listening(node), listening(other)])
    return [...allDoors([host], [4001, 4002, api, registry, 22]), ...nodes.flat()]
  }
  const listening = async (member: Member): Promise<readonly Door[]> => {
    const lines = await runCommand(target.insideNode(member, ['ss', '-Hltn']))
    const found = [...lines.matchAll(/(198\.19\.\d+\.\d+):(\d+)/g)]
    expect(found).to.have.length.greaterThan(0)
    return found.map(([, host = '', port]) => ({ over: 'tcp', host, port: Number(port) }))
  }

  it('reaches nothing of it over 200 and more ways, and the internet', async () => {
    expect(doors.length).to.be.greaterThan(200)
    const open = [
      { over: 'tcp', host: internet, port: internetPort },
      { over: 'udp', host: internet, port: internetPort },
    ] as const
    const lives = await knockAll([...doors, ...open], [`--net=/proc/${hostile.pid}/ns/net`])
    expect(lives.map(({ sign, ...door }) => door)).to.have.deep.members([...open])
  })

  it('reaches nothing with its own hands either', async () => {
    const tcp = doors.filter(({ over, host }) => over === 'tcp' && !host.includes('%'))
    const places = [...tcp, { host: internet, port: internetPort }].map(
      ({ host, port }) => `${host},${port}`,
    )
    const script = `
      knock() { nc -w 2 "$1" "$2" </dev/null >/dev/null 2>&1 && echo "open $1,$2"; }
      count=0
      for place in "$@"; do
        knock "\${place%,*}" "\${place##*,}" &
        count=$((count + 1)); [ $((count % 40)) = 0 ] && wait
      done
      wait; echo done`
    const output = await execute(hostile, ['/bin/sh', '-c', script, 'sh', ...places])
    const lines = output.split('\n').filter(Boolean)
    expect(lines).to.deep.equal([`open ${internet},${internetPort}`, 'done'])
  })

  it('finds no engine, no socket and no service on its own addresses', async () => {
    const script = 'find / -xdev -name "*.sock"; cat /proc/net/tcp /proc/net/udp /proc/net/tcp6'
    const output = await execute(hostile, ['/bin/sh', '-c', script])
    expect(output).to.not.contain('.sock')
    const listeners = [...output.matchAll(/^ *\d+: [0-9A-F]+:([0-9A-F]{4}) [0-9A-F]+:0000 0A/gm)]
    // Its own server, and Docker's resolver on loopback.
    const known = listeners.map(([, port = '']) => Number.parseInt(port, 16))
    expect(known.filter((port) => port !== smallImagePort && port < 30_000)).to.deep.equal([])
  })

  it('would reach most of it from the node: the doors are real', async () => {
    const own = `--net=/run/netns/${target.run.name}-${node.name}`
    const lives = await knockAll(doors, [own])
    const seen = new Set(lives.map(({ host }) => host))
    expect([...seen]).to.include.members([...(around?.addresses ?? [])])
    expect(lives.length).to.be.greaterThan(200)
  })
})

const broadcasts: readonly Door[] = [
  ...[
    '255.255.255.255',
    '192.168.77.255',
    '198.51.100.255',
    '224.0.0.1',
    '239.255.255.250',
  ].flatMap((host) => [53, 1900, 7070].map((port) => ({ over: 'udp', host, port }) as const)),
  { over: 'udp', host: '224.0.0.251', port: 5353 },
  ...['ff02::1%eth0', 'ff02::fb%eth0'].map((host) => ({ over: 'udp', host, port: 7070 }) as const),
]

function allDoors(hosts: readonly string[], at: readonly number[]): Door[] {
  const both = ['tcp', 'udp'] as const
  return [...new Set(hosts)].flatMap((host) =>
    at.flatMap((port) => both.map((over) => ({ over, host, port }))),
  )
}

async function knockAll(doors: readonly Door[], inside: readonly string[]): Promise<Life[]> {
  const child = spawn('nsenter', [...inside, '--', process.execPath, prober], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  child.stdin.end(JSON.stringify(doors))
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'close')])
  expect(code).to.equal(0)
  const lines = output.split('\n').filter(Boolean)
  return lines.map((line) => JSON.parse(line) as Life)
}

async function containersOf(target: Target, node: Member): Promise<Container[]> {
  const docker = target.engineOf(node)
  const list = await docker.listContainers()
  return await Promise.all(
    list.map(async ({ Id: id }) => {
      const { State, NetworkSettings } = await docker.getContainer(id).inspect()
      const [network] = Object.values(NetworkSettings.Networks)
      const { IPAddress: ipv4 = '', Gateway: gateway = '' } = network ?? {}
      return { docker, id, pid: State.Pid, ipv4, gateway }
    }),
  )
}

/** What a command prints that runs in the container, as confined as all in it. */
async function execute({ docker, id }: Container, Cmd: string[]): Promise<string> {
  const exec = await docker.getContainer(id).exec({ Cmd, AttachStdout: true, Tty: true })
  return (await text(await exec.start({ Tty: true }))).replaceAll('\r', '')
}
