/**
 * What a home has besides its node, hung onto the homes' switch: a neighbour with private and public
 * addresses, a router, and behind it a host on the internet. Each answers on every port asked for.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { createNamespaces } from '../../scripts/street/namespaces.ts'
import { runVariable } from '../../scripts/street/processes.ts'
import type { Member } from '../chaos/member.ts'
import type { Target } from './target.ts'

export const internet = '203.0.113.10'
/** Neighbour's addresses by the node's in the same network. */
const neighbours = {
  '192.168.77.2/24': '192.168.77.3/24',
  '10.11.12.2/24': '10.11.12.3/24',
  // A LAN may have public addresses.
  '198.51.100.2/24': '198.51.100.3/24',
  'fd77::2/64': 'fd77::3/64',
  '2001:db8:77::2/64': '2001:db8:77::3/64',
}
const metadata = '169.254.169.254'
const listener = fileURLToPath(new URL('../engine/listener.ts', import.meta.url))

export type Surroundings = Readonly<{
  /** Of the neighbour, of the router, of the node itself. */
  addresses: readonly string[]
  stop(): Promise<void>
}>

const bare = (address: string): string => address.replace(/\/.*$/, '')

/** @param ports on which they listen, TCP and UDP */
export async function addSurroundings(
  { run }: Target,
  node: Member,
  ports: readonly number[],
): Promise<Surroundings> {
  const namespaces = await createNamespaces({ run })
  const home = await namespaces.create('neighbour')
  const router = await namespaces.create('router')
  const switched = `/run/netns/${run.name}-switch`
  const own = `nsenter --net=/run/netns/${run.name}-${node.name}`
  for (const [{ name }, port] of [
    [home, 'extra1'],
    [router, 'extra2'],
  ] as const) {
    await router.script(
      `nsenter --net=${switched} ip link add ${port} type veth peer name eth0 netns ${name}
      nsenter --net=${switched} ip link set ${port} master br0 up`,
    )
  }
  const add = (command: string, address: string): string =>
    `${command} ip address add ${address} dev eth0 ${address.includes(':') ? 'nodad' : ''}`
  const pairs = Object.entries(neighbours)
  await home.script(
    ['ip link set eth0 up', ...pairs.map(([, address]) => add('', address))].join('\n'),
  )
  await router.script(
    `ip link set eth0 up
    ip address add 192.168.77.1/24 dev eth0
    ip address add fd77::1/64 dev eth0 nodad
    ip address add ${internet}/32 dev lo
    ${pairs.map(([address]) => add(own, address)).join('\n')}
    ${own} ip address add ${metadata}/32 dev lo
    ${own} ip route add ${internet}/32 via 192.168.77.1`,
  )
  const children: ChildProcess[] = []
  const listen = async (namespace: string, addresses: readonly string[]): Promise<void> => {
    const command = [process.execPath, listener, ports.join(','), ...addresses]
    const child = spawn('nsenter', [`--net=${namespace}`, '--', ...command], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, [runVariable]: run.name },
    })
    children.push(child)
    await once(child.stdout, 'data')
  }
  await listen(
    home.path,
    pairs.map(([, address]) => bare(address)),
  )
  await listen(router.path, ['192.168.77.1', 'fd77::1', internet])
  await listen(`/run/netns/${run.name}-${node.name}`, ['::'])
  return {
    addresses: [
      ...pairs.flatMap(([ours, theirs]) => [bare(ours), bare(theirs)]),
      ...['192.168.77.1', 'fd77::1', metadata],
    ],
    async stop() {
      for (const child of children) child.stdin?.end()
      const living = children.filter(({ exitCode }) => exitCode === null)
      await Promise.all(living.map((child) => once(child, 'exit')))
      await namespaces.dispose()
    },
  }
}
