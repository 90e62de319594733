/**
 * Circuit relay v2 for those that no one can dial: it carries their control messages, within limits
 * that make it useless for bulk. libp2p's defaults (15 reservations, 128 KiB, 2 minutes) would turn
 * away all but the first homes of a network; no limits would make every relay a free proxy.
 */
import { type CircuitRelayService, circuitRelayServer } from '@libp2p/circuit-relay-v2'
import type { Stream, StreamMessageEvent } from '@libp2p/interface'
import type { MeshRole } from './limits.ts'

export type RelayLimits = Readonly<{
  reservationsMax: number
  /** Of one circuit, both ways together. */
  circuitBytesMax: number
  circuitMs: number
}>

/** swarm.md 3.3; a reachable home lends a little of the same. */
const wellKnown: RelayLimits = {
  reservationsMax: 5_000,
  circuitBytesMax: 8 << 20,
  circuitMs: 3_600_000,
}
const home: RelayLimits = {
  reservationsMax: 16,
  circuitBytesMax: 1 << 20,
  circuitMs: 600_000,
}

const hopTimeoutMs = 10_000

export interface RelayServer extends CircuitRelayService {
  /** Bytes carried for others since the start, both ways. */
  readonly relayedBytes: number
}

/** The limits of a role's relay. */
export function relayLimits(role: MeshRole): RelayLimits {
  return role === 'node' ? home : wellKnown
}

/** The service, for `createLibp2p`. Who may reserve is the connection gater's business. */
export function relayServer({ reservationsMax, circuitBytesMax, circuitMs }: RelayLimits) {
  const make = circuitRelayServer({
    hopTimeout: hopTimeoutMs,
    reservations: {
      maxReservations: reservationsMax,
      defaultDataLimit: BigInt(circuitBytesMax),
      defaultDurationLimit: circuitMs,
    },
  })
  return (components: Parameters<typeof make>[0]): RelayServer => withBytesCounted(make(components))
}

/** The far stream of each circuit passes through `stopHop`: what comes and goes there is relayed. */
function withBytesCounted(service: CircuitRelayService): RelayServer {
  let bytes = 0
  const inside = service as unknown as {
    stopHop(...args: unknown[]): Promise<Stream | undefined>
  }
  const stopHop = inside.stopHop.bind(service)
  inside.stopHop = async (...args) => {
    const far = await stopHop(...args)
    if (!far) return far
    far.addEventListener('message', ({ data }: StreamMessageEvent) => {
      bytes += data.byteLength
    })
    const send = far.send.bind(far)
    far.send = (data) => {
      bytes += data.byteLength
      return send(data)
    }
    return far
  }
  return Object.defineProperty(service, 'relayedBytes', { get: () => bytes }) as RelayServer
}
