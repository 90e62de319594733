/**
 * One TCP connection that two homes behind NAT open towards one another at the same time, made into
 * a libp2p connection. Each router lets the other's packets in because its own home sent first.
 *
 * Source: Ford, Srisuresh, Kegel, "Peer-to-Peer Communication Across NATs", USENIX 2005, section 4;
 * RFC 9293, section 3.5 (simultaneous open). Why not libp2p's DCUtR: swarm.md 3.3. It dials through
 * the dial queue, where both ends become Noise initiators, from a port that is taken.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Connection, MultiaddrConnection, Upgrader, UpgraderOptions } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'
import type { PeerId } from '../ids.ts'
import type { MeshInner } from '../mesh/index.ts'
import { type Endpoint, type Family, formatEndpoint } from './endpoint.ts'

/**
 * Many routers answer a packet that they do not expect with a reset; then the two first packets
 * must cross on their way. How long the refusal took is the round trip, so pauses of up to twice
 * that make them cross about every second time, be the other across the ocean or the street.
 */
const retryMaxMs = 25
const roundTrips = 2
/** Each refusal adds to the pauses, so that a pair that never meets spends little on it. */
const slowerMs = 0.02
/**
 * One try, upgrade and all. A reset that comes late ends one half of a connection and leaves the
 * other waiting for a handshake; five round trips of a long path fit in here.
 */
const tryMs = 1_000
/** To one that listens. */
const comeMs = 4_000

/** Ports of punching: above what services use; one is drawn for each attempt, so none is worn. */
const portMin = 20_000
const portMax = 60_000

/** A port to try: whether it is free, only the dial tells. */
export function drawPort(random: () => number): number {
  return portMin + Math.floor(random() * (portMax - portMin))
}

export type FromPortInit = Readonly<{ peer: PeerId; at: Endpoint; localPort: number }>

/**
 * Dials from a given local port, past the dial queue.
 * @throws what the dial throws, after `tryMs` or when `signal` aborts too; later it ends nothing.
 */
export async function dialFromPort(
  inner: MeshInner,
  { peer, at, localPort }: FromPortInit,
  options: { readonly signal: AbortSignal; readonly first?: boolean; readonly tryMs?: number },
): Promise<Connection> {
  const { signal, first = true, tryMs = comeMs } = options
  // Passed on to `net.connect`, though the type does not list them.
  const local = { localPort, localAddress: anyAddress(at.family) }
  const transport = tcp({ dialOpts: { ...local, noDelay: true } })({ logger: inner.logger })
  const target = multiaddr(`${formatEndpoint(at)}/p2p/${peer}`)
  const upgrader = inRole(inner.upgrader, first)
  // The transport hands the signal on to the socket, which it would destroy long after the dial.
  const dialling = new AbortController()
  const end = (): void => dialling.abort(signal.reason)
  const timer = setTimeout(() => dialling.abort(new Error(`not there in ${tryMs} ms`)), tryMs)
  signal.addEventListener('abort', end, { once: true })
  try {
    signal.throwIfAborted()
    return await transport.dial(target, { signal: dialling.signal, upgrader })
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', end)
  }
}

/**
 * Dials from `localPort` again and again until it connects: the other side does the same.
 * @param init `first`: exactly one of the two must be; it speaks first in Noise, and is yamux's client.
 * `known`: a connection that came about in another way meanwhile, which ends this.
 * @throws the last fault when `signal` aborts.
 */
export async function openAtOnce(
  inner: MeshInner,
  init: FromPortInit &
    Readonly<{
      first: boolean
      known: () => Connection | undefined
    }>,
  { signal, random }: { readonly signal: AbortSignal; readonly random: () => number },
): Promise<Connection> {
  for (let tries = 1; ; tries++) {
    const startedMs = performance.now()
    try {
      return await dialFromPort(inner, init, { signal, first: init.first, tryMs })
    } catch (error) {
      const known = init.known()
      if (known) return known
      if (signal.aborted) throw error
      const tookMs = performance.now() - startedMs
      const crossingMs = random() * Math.min(retryMaxMs, roundTrips * tookMs)
      const pauseMs = crossingMs + Math.min(retryMaxMs, tries * slowerMs)
      await sleep(pauseMs, undefined, { signal }).catch(() => undefined)
      if (signal.aborted) throw error
    }
  }
}

function anyAddress(family: Family): string {
  return family === 4 ? '0.0.0.0' : '::'
}

/** Both ends dialled; the one that is not first must act as if it had been dialled. */
function inRole(upgrader: Upgrader, first: boolean): Upgrader {
  const upgradeOutbound = (raw: MultiaddrConnection, options: UpgraderOptions) => {
    if (!first) raw.direction = 'inbound'
    return upgrader.upgradeOutbound(raw, { ...options, initiator: first })
  }
  return {
    upgradeOutbound,
    upgradeInbound: (raw, options: UpgraderOptions) => upgrader.upgradeInbound(raw, options),
    createInboundAbortSignal: (signal) => upgrader.createInboundAbortSignal(signal),
    getStreamMuxers: () => upgrader.getStreamMuxers(),
    getConnectionEncrypters: () => upgrader.getConnectionEncrypters(),
  }
}
