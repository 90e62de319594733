/**
 * One host of the NAT tests as a process of its own, in a network namespace: a hub on the internet
 * (what coordinator and caches are to homes), or a home. It does what `NAT_TEST` says, once, tells
 * what came of it in JSON lines, and ends by SIGTERM.
 */
import { once } from 'node:events'
import { systemClock } from '../../protocol/clock.ts'
import { describeError } from '../../protocol/errors.ts'
import type { BundleId } from '../../protocol/ids.ts'
import { createLogger } from '../../protocol/log/index.ts'
import { createLink, dialPeer, type PeerAddress, peerIdOf } from '../../protocol/mesh/index.ts'
import { startHelper, startHome } from '../../protocol/nat/index.ts'
import { createSigner } from '../../protocol/signing/index.ts'
import { createSwarmStreet, randomBundle, toyTicket } from '../../protocol/swarm/swarm.fixture.ts'

export type HomeTask = Readonly<{
  role: 'hub' | 'home'
  /** 32 bytes in hex. */
  seed: string
  listen: readonly string[]
  /** Whom a home keeps a link to. */
  hub?: PeerAddress
  upnp?: boolean
  /** Holds a bundle of so many bytes. */
  fillBytes?: number
  /** Gets this bundle from these. */
  get?: Readonly<{ bundle: BundleId; hints: readonly PeerAddress[] }>
  /** Pings this peer, over a relay if need be. */
  ping?: PeerAddress
}>

const task = JSON.parse(process.env.NAT_TEST ?? '{}') as HomeTask
const say = (line: object): void => console.log(JSON.stringify(line))
// On stderr: what a test shows of a home that did not do its task.
const logger = createLogger({ level: 'debug', name: task.role })
const parts = { clock: systemClock, random: Math.random, logger }
const seed = Buffer.from(task.seed, 'hex')
const street = createSwarmStreet()
const { mesh, swarm, fill, address } = await street.home({
  mesh: {
    ...{ seed, listen: task.listen, upnp: task.upnp ?? false },
    role: task.role === 'hub' ? 'coordinator' : 'node',
    relaysFor: () => task.role === 'hub',
  },
  with: { logger },
})
const self = peerIdOf(mesh.peerId)
const addresses = (): string[] => mesh.getMultiaddrs().map(String)
mesh.addEventListener('self:peer:update', () => say({ addresses: addresses() }))

const stops: (() => Promise<void>)[] = []
if (task.role === 'hub') {
  const helper = { mesh, signer: createSigner(seed), isMember: () => true, wallMs: Date.now }
  stops.push(await startHelper({ allowPrivate: true }, { ...helper, ...parts }))
} else if (task.hub) {
  const { hub } = task
  const onChange = (reach: object): void => say({ reach })
  const home = await startHome(
    { allowPrivate: true, punch: true },
    { mesh, helpers: () => [hub], onChange, ...parts },
  )
  const link = createLink(hub, { mesh, ...parts })
  stops.push(() => link.stop(), home.stop)
  await link.connected({ signal: AbortSignal.timeout(20_000) })
}
const bundle = task.fillBytes ? randomBundle(task.fillBytes) : undefined
if (bundle) await fill(bundle)
say({ ready: true, ...address, bundle: bundle?.id })

/** Connections to a peer, as a test judges them. */
function waysTo(peer: string) {
  return mesh
    .getConnections()
    .filter(({ remotePeer }) => remotePeer.toString() === peer)
    .map(({ remoteAddr, limits }) => ({ at: String(remoteAddr), limited: limits !== undefined }))
}

async function get({ bundle, hints }: NonNullable<HomeTask['get']>): Promise<void> {
  await swarm.download({ bundle, ticket: () => toyTicket(self, bundle), hints }).done
  const { peers } = swarm.stats()
  const from = hints.map(({ peer }) => [
    peer,
    { bytes: peers.get(peer)?.downloadedBytes ?? 0, ways: waysTo(peer) },
  ])
  say({ got: Object.fromEntries(from) })
}

async function ping(target: PeerAddress): Promise<void> {
  const { signal } = new AbortController()
  const connection = await dialPeer(mesh, target, { signal, relayed: true })
  await mesh.services.ping.ping(connection.remotePeer)
  say({ pinged: target.peer, ways: waysTo(target.peer) })
}

try {
  if (task.get) await get(task.get)
  if (task.ping) await ping(task.ping)
} catch (error) {
  say({ failed: describeError(error) })
}
await once(process, 'SIGTERM')
say({ relayedBytes: mesh.services.relay.relayedBytes })
for (const stop of stops.reverse()) await stop()
await street.stop()
process.exit()
