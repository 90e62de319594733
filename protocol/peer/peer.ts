/**
 * All that a node and a cache have in common, wired once: identity, term, lists, one-time keys, the
 * coordinator's time, the mesh host and the control stream. Its owner adds a chunk store, a swarm
 * and its own work, and stops its own parts before this.
 */
import { multiaddr } from '@multiformats/multiaddr'
import type { Clock } from '../clock.ts'
import {
  type ControlLink,
  type CoordinatorTime,
  createCoordinatorTime,
  type Hello,
} from '../control/index.ts'
import { type Identity, identityFromSeed } from '../identity/index.ts'
import type { PeerId } from '../ids.ts'
import type { Logger } from '../log/index.ts'
import { createMesh, disconnect, type Mesh, type Region } from '../mesh/index.ts'
import { type HomeReach, startHelper, startHome } from '../nat/index.ts'
import type { Network } from '../network/index.ts'
import type { TermKeeper } from '../orders/index.ts'
import { createPulseKeeper, type PulseKeeper, servePulse } from '../pulse/index.ts'
import { createKeyRing } from '../sealing/index.ts'
import type { Store } from '../store/index.ts'
import { createHolderIndex, type HolderIndex, type VerifyTicket } from '../swarm/index.ts'
import { openPeerAuditHeads } from './audit-heads.ts'
import { startBanFeed } from './ban-feed.ts'
import { createPeerControl, type PeerControlHandlers } from './control.ts'
import { helpersOf, isDialable, rememberMembers } from './helpers.ts'
import { openPeerLists, type PeerLists } from './lists.ts'
import { createOneTimeKeys, type OneTimeKeys } from './one-time-keys.ts'
import { keysDirOf } from './run-dir.ts'
import { openPeerTerm } from './term.ts'
import { createTicketVerifier } from './ticket-verifier.ts'

export type HomeInit = Readonly<{
  /** Asks the router to forward the listening port. */
  upnp: boolean
  /** Opens direct connections with others behind NAT, and holds places at relays meanwhile. */
  punch: boolean
  /** Relays control messages for others, a little, while it can be dialled itself. */
  relay: boolean
}>

export type PeerInit = Readonly<{
  role: Hello['role']
  /** Of this software, as told to the coordinator. */
  version: string
  /** Ed25519 seed, 32 bytes: `loadOrCreateSeed` of the data folder. */
  seed: Uint8Array
  network: Network
  /** Where one-time keys lie: see `defaultRunDir`. */
  runDir: string
  /** Multiaddrs to listen on; none: dials only. */
  listen: readonly string[]
  /** Multiaddrs to tell others instead of those observed. */
  announce?: readonly string[]
  /** Finds peers on the LAN. */
  mdns?: boolean
  /** Private addresses may stand in the DHT. */
  privateAddresses?: boolean
  /** What a home does to be reached; absent: nothing but to ask whether it is. */
  home?: HomeInit
  /** Many hosts on one address: see `MeshInit.testbed`. */
  testbed?: boolean
  regions?: readonly Region[]
  /** One-time keys offered at each connect, 1 to 64. */
  keysOffered?: number
}>

export type PeerComponents = Readonly<{
  /** The owner opens and closes it. Records lie under `peer/`. */
  store: Store
  clock: Clock
  /** Uniform in [0, 1). */
  random: () => number
  logger: Logger
}>

export interface Peer {
  readonly id: PeerId
  /** Where its one-time keys lie. */
  readonly runDir: string
  readonly identity: Identity
  readonly network: Network
  readonly keeper: TermKeeper
  readonly time: CoordinatorTime
  readonly lists: PeerLists
  readonly keys: OneTimeKeys
  /** The coordinator's newest sign of life; other peers are told it when they ask. */
  readonly pulses: PulseKeeper
  readonly mesh: Mesh
  /** Whether this host can be dialled, and how it fares at punching. */
  readonly reach: HomeReach
  /** For `createSwarm`, beside `verifyTicket` and `time.nowMs`. */
  readonly holders: HolderIndex
  readonly verifyTicket: VerifyTicket
  /** What only those know whom the coordinator has greeted; undefined before its welcome. */
  memberSecret(): Uint8Array | undefined
  /** Opens the control stream, once. It is stopped with the peer, or before, after a goodbye. */
  connect(handlers: PeerControlHandlers): ControlLink
  /** Stops stream and mesh. Store and one-time keys stay. Twice is harmless. */
  stop(): Promise<void>
}

/**
 * Starts a host and loads what was persisted; speaks to nobody before `connect`.
 * @throws {OrderRefusedError} the network file is of another network than the store.
 * @throws {StoreRecordError} what was persisted is damaged.
 */
export async function openPeer(init: PeerInit, components: PeerComponents): Promise<Peer> {
  const { network, role } = init
  const { store, clock, random, logger } = components
  const identity = await identityFromSeed(init.seed)
  const term = await openPeerTerm(network, { store })
  const time = createCoordinatorTime({ clock })
  const cut = (banned: PeerId): void => {
    if (banned === identity.peer) {
      logger.error({ peer: banned }, 'this peer is banned: ask whoever runs the network why')
    }
    disconnect(mesh, banned)
  }
  const lists = await openPeerLists({ onBanned: cut }, { store, keeper: term.keeper })
  const auditHeads = await openPeerAuditHeads({ store, keeper: term.keeper })
  const keys = createOneTimeKeys(
    { identity, network: network.network, freshCount: init.keysOffered ?? 16 },
    { ring: createKeyRing({ dir: keysDirOf(init.runDir) }) },
  )
  const known = [
    ...network.coordinatorAddrs.map((address) => withPeer(address, term.keeper.coordinator)),
    ...lists.members('cache').flatMap(({ peer, addrs }) => addrs.map((at) => withPeer(at, peer))),
  ]
  const mesh: Mesh = await createMesh(
    {
      role,
      seed: init.seed,
      listen: init.listen,
      announce: init.announce ?? [],
      bootstrap: known.filter(
        (address) => isMultiaddr(address) && !address.endsWith(identity.peer),
      ),
      regions: init.regions ?? [],
      testbed: init.testbed ?? false,
      privateAddresses: init.privateAddresses ?? false,
      ...(init.mdns && { mdnsName: network.network }),
      // Many on one machine would fight for one port of its router.
      upnp: init.home?.upnp === true && !init.testbed,
    },
    {
      banned: lists.isBanned,
      // A cache relays for all; a home only while it is itself of use to those that dial it.
      relaysFor: () => role === 'cache' || (init.home?.relay === true && isDialable(reach)),
      logger,
    },
  )
  const tickets = createTicketVerifier({ keeper: term.keeper, time })
  const members = rememberMembers(tickets)
  const allowPrivate = init.testbed ?? false
  const pulses = createPulseKeeper({ keeper: term.keeper, logger })
  const stopPulse = await servePulse({ mesh, pulses, clock })
  const stopHelper =
    role === 'cache'
      ? await startHelper(
          { allowPrivate: allowPrivate || (init.privateAddresses ?? false) },
          {
            ...{ mesh, signer: identity.signer, isMember: members.has, clock, logger },
            wallMs: Date.now,
          },
        )
      : undefined
  const reach: HomeReach = await startHome(
    { allowPrivate, punch: init.home?.punch ?? false },
    {
      ...{ mesh, clock, random, logger },
      helpers: () => helpersOf({ network, keeper: term.keeper, lists }),
    },
  )
  let dhtSecret: Uint8Array | undefined
  let control: ControlLink | undefined
  const bans = await startBanFeed({
    ...{ mesh, lists, clock, random, logger },
    isUp: () => control?.isUp ?? false,
  })
  let stopped: Promise<void> | undefined
  const stop = async (): Promise<void> => {
    await control?.stop()
    await bans.stop()
    await reach.stop()
    await stopHelper?.()
    await stopPulse()
    await mesh.stop()
  }
  return {
    id: identity.peer,
    runDir: init.runDir,
    identity,
    network,
    keeper: term.keeper,
    time,
    lists,
    keys,
    pulses,
    mesh,
    reach,
    memberSecret: () => dhtSecret,
    holders: createHolderIndex({ mesh, secret: () => dhtSecret }),
    verifyTicket: members.verify,
    connect(handlers) {
      control ??= createPeerControl(
        {
          role,
          version: init.version,
          coordinatorAddrs: network.coordinatorAddrs,
          handlers,
          onSecret(secret) {
            dhtSecret = secret
          },
          verdicts: () => reach.verdicts,
        },
        { mesh, term, time, lists, auditHeads, bans, keys, pulses, clock, random, logger },
      )
      return control
    },
    stop() {
      stopped ??= stop()
      return stopped
    },
  }
}

function withPeer(address: string, peer: PeerId): string {
  return address.includes('/p2p/') ? address : `${address}/p2p/${peer}`
}

/** An address of a kind that this version does not know must not keep a peer from starting. */
function isMultiaddr(address: string): boolean {
  try {
    multiaddr(address)
    return true
  } catch {
    return false
  }
}
