/**
 * One libp2p host, set up as Potluck uses it: TCP, Noise, yamux, identify, ping, gossip and the
 * DHT, with the limits of its role and with banned peers refused as soon as they are known. Every
 * process has exactly one; all protocols of Potluck are handlers on it.
 *
 * Process mains should log and survive `uncaughtException`: a fault in a socket's event handler
 * inside libp2p surfaces there and not in any promise of ours.
 */
import { noise } from '@chainsafe/libp2p-noise'
import { bootstrap } from '@libp2p/bootstrap'
import { circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import { type GossipSub, gossipsub } from '@libp2p/gossipsub'
import { type Identify, identify } from '@libp2p/identify'
import type { Libp2p } from '@libp2p/interface'
import {
  type KadDHT,
  kadDHT,
  passthroughMapper,
  removePrivateAddressesMapper,
} from '@libp2p/kad-dht'
import { mdns } from '@libp2p/mdns'
import { type Ping, ping } from '@libp2p/ping'
import { createLibp2p } from 'libp2p'
import { identityFromSeed } from '../identity/index.ts'
import type { PeerId } from '../ids.ts'
import { laneNoise } from '../lanes/index.ts'
import type { Logger } from '../log/index.ts'
import { createBoundedDatastore } from './bounded-datastore.ts'
import { peerIdOf } from './identity.ts'
import { inner, type MeshInner } from './inner.ts'
import { identifyInTurn } from './late-identify.ts'
import {
  addressDialMs,
  keepAliveMs,
  type MeshLimits,
  type MeshRole,
  meshLimits,
  peerDialMs,
  streamWindowBytes,
} from './limits.ts'
import { type RelayServer, relayLimits, relayServer } from './relay-server.ts'
import { thriftyCrypto } from './thrifty-noise.ts'
import { thriftyTcp } from './thrifty-tcp.ts'
import { thriftyYamux } from './thrifty-yamux.ts'
import { type Region, topicScores } from './topics.ts'
import { upnp } from './upnp.ts'

/** What every host of Potluck runs. Optional ones (mDNS, bootstrap, UPnP) have no interface to call. */
export type MeshServices = {
  identify: Identify
  ping: Ping
  dht: KadDHT
  pubsub: GossipSub
  relay: RelayServer
  inner: MeshInner
} & Record<string, unknown>
export type Mesh = Libp2p<MeshServices>

export type MeshInit = Readonly<{
  role: MeshRole
  /** Ed25519 seed, 32 bytes: the identity. */
  seed: Uint8Array
  /** Multiaddrs to listen on, such as `/ip4/0.0.0.0/tcp/4001`; none: dials only. */
  listen?: readonly string[]
  /** Multiaddrs to tell others instead of the observed ones (a forwarded port). */
  announce?: readonly string[]
  /** Multiaddrs with `/p2p/` of those that the network file names. */
  bootstrap?: readonly string[]
  /** Finds peers on the LAN under this name (the network's id); absent: no mDNS. */
  mdnsName?: string
  /** Regions whose capacity topic this host may meet. */
  regions?: readonly Region[]
  /** Many hosts on one address, private addresses: lifts what would take them for an attack. */
  testbed?: boolean
  /** Asks the home's router to forward the listening port. */
  upnp?: boolean
  /** Private addresses may stand in the DHT (a LAN or company network). Implied by `testbed`. */
  privateAddresses?: boolean
  /** DHT records of one peer that are kept; see `createBoundedDatastore`. */
  providedPerPeerMax?: number
}>

export type MeshComponents = Readonly<{
  /** Whether the ban list names a peer; asked at every connection, both ways. */
  banned: (peer: PeerId) => boolean
  /** Whether this host relays for a peer now; without it for none. */
  relaysFor?: (peer: PeerId) => boolean
  logger: Logger
}>

/** Below this, peers found on the LAN are dialled, so that a LAN is a mesh without a coordinator. */
const lanConnectionsWanted = 6

/**
 * Makes and starts a host. The caller stops it.
 * @throws when an address cannot be listened on; nothing is left running then.
 */
export async function createMesh(init: MeshInit, components: MeshComponents): Promise<Mesh> {
  const testbed = init.testbed ?? false
  const limits = meshLimits(init.role, testbed)
  const { banned, relaysFor = () => false, logger } = components
  const gate = (peer: Parameters<typeof peerIdOf>[0]): boolean => banned(peerIdOf(peer))
  const { peer: self, privateKey } = await identityFromSeed(init.seed)
  const { providedPerPeerMax } = init
  const mesh: Mesh = await createLibp2p<MeshServices>({
    start: false,
    privateKey,
    datastore: createBoundedDatastore({
      self,
      ...(providedPerPeerMax === undefined ? {} : { providedPerPeerMax }),
    }),
    addresses: { listen: [...(init.listen ?? [])], announce: [...(init.announce ?? [])] },
    transports: [thriftyTcp({ dialOpts: { noDelay: true } }), relayTransport()],
    connectionEncrypters: [laneNoise(thriftyCrypto()), noise({ crypto: thriftyCrypto() })],
    streamMuxers: [
      thriftyYamux({
        keepAliveInterval: keepAliveMs,
        maxInboundStreams: limits.streamsMax,
        maxOutboundStreams: limits.streamsMax,
        streamOptions: { maxStreamWindowSize: streamWindowBytes },
      }),
    ],
    connectionMonitor: { enabled: false },
    connectionManager: connectionManager(limits),
    connectionGater: {
      denyDialMultiaddr: () => false,
      denyDialPeer: gate,
      denyInboundEncryptedConnection: gate,
      denyOutboundConnection: gate,
      denyInboundRelayReservation: (peer) => gate(peer) || !relaysFor(peerIdOf(peer)),
      denyOutboundRelayedConnection: (from, to) => gate(from) || gate(to),
      denyInboundRelayedConnection: (_relay, from) => gate(from),
    },
    peerDiscovery: discovery(init),
    services: {
      identify: identify({ runOnConnectionOpen: false }),
      ping: ping({ maxInboundStreams: 2 }),
      dht: dht(init, testbed),
      pubsub: pubsub(init, testbed),
      relay: relayServer(relayLimits(init.role)),
      inner: inner(),
      ...(init.upnp && { upnp: upnp() }),
    },
  })
  const identifyNoMore = identifyInTurn(mesh, { logger, isHub: init.role !== 'node' })
  mesh.addEventListener('stop', identifyNoMore, { once: true })
  if (init.mdnsName !== undefined) dialLan(mesh, logger)
  try {
    await mesh.start()
  } catch (error) {
    await mesh.stop()
    throw error
  }
  return mesh
}

/** Cuts what a newly banned peer has open, without a word; the gater refuses it from then on. */
export function disconnect(mesh: Mesh, peer: PeerId): void {
  for (const connection of mesh.getConnections()) {
    if (peerIdOf(connection.remotePeer) !== peer) continue
    connection.abort(new Error('the peer at the other end is banned'))
  }
}

function connectionManager(limits: MeshLimits) {
  return {
    maxConnections: limits.connectionsMax,
    maxParallelDials: limits.parallelDialsMax,
    dialTimeout: peerDialMs,
    addressDialTimeout: addressDialMs,
    inboundConnectionThreshold: limits.inboundPerIpPerSecondMax,
    maxIncomingPendingConnections: limits.inboundPendingMax,
  }
}

function discovery({ bootstrap: list, mdnsName }: MeshInit) {
  return [
    ...(list && list.length > 0 ? [bootstrap({ list: [...list], timeout: 0 })] : []),
    ...(mdnsName === undefined
      ? []
      : // The default asks the LAN every 10 s; the name keeps two networks of one house apart.
        [mdns({ interval: 60_000, serviceTag: `_potluck-${mdnsName.slice(0, 16)}._udp.local` })]),
  ]
}

/**
 * Relays are known, and chosen by protocol/nat. libp2p's own discovery would ask each peer that
 * connects, in one queue with what is asked on purpose, which then fails with it.
 */
function relayTransport() {
  const ignored = { has: () => true, add: () => undefined, remove: () => undefined }
  return circuitRelayTransport({ discoveryFilter: ignored })
}

/**
 * Nodes are DHT clients: a server's table refresh alone costs 86 to 118 KB each 5 minutes. Records
 * of those that left go after two hours instead of two days.
 */
function dht({ role, privateAddresses }: MeshInit, testbed: boolean) {
  return kadDHT({
    protocol: '/potluck/kad/1.0.0',
    clientMode: role === 'node',
    alpha: 3,
    querySelfInterval: 3_600_000,
    peerInfoMapper: testbed || privateAddresses ? passthroughMapper : removePrivateAddressesMapper,
    allowQueryWithZeroPeers: true,
    reprovide: { validity: 7_200_000, threshold: 3_600_000, interval: 900_000 },
  })
}

/** A bound on each RPC keeps a neighbour from filling memory; adverts are at most 32 KiB. */
const gossipRpcBytesMax = 256 * 1024

function pubsub({ regions = [] }: MeshInit, testbed: boolean) {
  const make = gossipsub({
    heartbeatInterval: testbed ? 1_000 : 5_000,
    floodPublish: false,
    fallbackToFloodsub: false,
    allowPublishToZeroTopicPeers: true,
    maxInboundDataLength: gossipRpcBytesMax,
    maxOutboundBufferSize: 4 * gossipRpcBytesMax,
    scoreParams: {
      ...(testbed ? { IPColocationFactorWeight: 0 } : {}),
      topics: topicScores(regions),
    },
  })
  return (components: Parameters<typeof make>[0]): GossipSub =>
    withHeartbeatEnded(make(components) as GossipSub)
}

/** gossipsub 17.1 forgets its heartbeat's timer when it stops; a process would wait for it. */
function withHeartbeatEnded(service: GossipSub): GossipSub {
  const inside = service as unknown as {
    status: { heartbeatTimeout?: NodeJS.Timeout }
    stop(): Promise<void>
  }
  const stop = inside.stop.bind(service)
  inside.stop = async () => {
    clearTimeout(inside.status.heartbeatTimeout)
    await stop()
  }
  return service
}

function dialLan(mesh: Mesh, logger: Logger): void {
  mesh.addEventListener('peer:discovery', ({ detail: found }) => {
    if (mesh.getConnections().length >= lanConnectionsWanted) return
    mesh.dial(found.id, { signal: AbortSignal.timeout(peerDialMs) }).catch((error: unknown) => {
      logger.debug({ peer: found.id.toString(), error }, 'could not dial a peer found on the LAN')
    })
  })
}
