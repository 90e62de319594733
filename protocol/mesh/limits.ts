/**
 * How much of a machine the mesh may use, by role. A home PC with libp2p's defaults (300
 * connections, 16 MiB windows, a liveness ping every 10 s on each) would spend megabytes an hour
 * on being idle, and one bulk transfer would hold up all else on its connection for seconds.
 */

export type MeshRole = 'node' | 'cache' | 'coordinator'

export type MeshLimits = Readonly<{
  /** Pruned above this, least tagged first. */
  connectionsMax: number
  parallelDialsMax: number
  /** New inbound connections a second from one IP address. */
  inboundPerIpPerSecondMax: number
  /** Inbound connections whose handshake is under way. */
  inboundPendingMax: number
  /** Streams of one connection, each way. */
  streamsMax: number
}>

/** A home: its coordinator, a cache, gossip neighbours and a swarm of at most 32. */
const home: MeshLimits = {
  connectionsMax: 64,
  parallelDialsMax: 16,
  inboundPerIpPerSecondMax: 10,
  inboundPendingMax: 20,
  streamsMax: 64,
}

/** Those that the network file or the roster names: every node may connect at once after a cut. */
const wellKnown: MeshLimits = {
  connectionsMax: 8192,
  parallelDialsMax: 64,
  inboundPerIpPerSecondMax: 100,
  inboundPendingMax: 512,
  streamsMax: 64,
}

/**
 * The limits of a role. On a test bed (a street behind one address) the thresholds by IP address
 * would refuse honest neighbours, so they are lifted.
 */
export function meshLimits(role: MeshRole, testbed: boolean): MeshLimits {
  const limits = role === 'node' ? home : wellKnown
  return testbed ? { ...limits, inboundPerIpPerSecondMax: 1000, inboundPendingMax: 1000 } : limits
}

/** The TCP transport drops a socket after 120 s of silence; 90 s keeps it for 540 B a minute. */
export const keepAliveMs = 90_000
/** 16 MiB, the default, lets a bulk stream delay all others by seconds; with credits 1 MiB is enough. */
export const streamWindowBytes = 1 << 20
/** A dead peer must not hurt: one address 4 s, all of a peer's addresses 8 s. */
export const addressDialMs = 4_000
export const peerDialMs = 8_000
