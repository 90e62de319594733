/**
 * Asks a peer what it speaks: at once over the first connections, soon over as many as gossip wants,
 * much later over those of a swarm. Identify, and the gossip and DHT streams that it leads to, cost
 * more than the handshake itself. A swarm dials thirty homes in its first seconds, needs none of that
 * to move chunks, and would spend those seconds on it; and when all of them were asked at once ten
 * seconds later, twelve homes on two cores stood still for two.
 */

import type { Identify } from '@libp2p/identify'
import type { Connection, Libp2p } from '@libp2p/interface'
import type { Logger } from '../log/index.ts'

/** The coordinator and a cache. */
const atOnceMax = 2
/** As many as gossip wants for neighbours, beside them: after a look at what they are used for. */
const soonMax = 7
const soonMs = 1_000
/** A cache tells homes of one another, and knows where they are only then. */
const hubSpreadMs = 4_000
/** Spread, so that they are asked one after the other. */
const laterMinMs = 30_000
const laterSpreadMs = 60_000

/** Streams that a peer of any kind has; others say what a connection is for. */
const isCommon = (protocol: string): boolean =>
  !protocol.startsWith('/potluck/') || protocol.startsWith('/potluck/kad/')

/**
 * In place of identify's own listener (`runOnConnectionOpen: false`).
 * @returns what ends it
 */
export function identifyInTurn(
  mesh: Libp2p<{ identify: Identify }>,
  {
    logger,
    isHub = false,
    random = Math.random,
  }: { readonly logger: Logger; readonly isHub?: boolean; readonly random?: () => number },
): () => void {
  const waiting = new Set<NodeJS.Timeout>()
  const identify = (connection: Connection): void => {
    if (connection.status !== 'open') return
    mesh.services.identify.identify(connection).catch((error: unknown) => {
      logger.debug({ peer: connection.remotePeer.toString(), error }, 'a peer was not identified')
    })
  }
  const after = (ms: number, work: () => void): void => {
    const timer = setTimeout(() => {
      waiting.delete(timer)
      work()
    }, ms)
    timer.unref()
    waiting.add(timer)
  }
  const later = (connection: Connection): void =>
    after(laterMinMs + laterSpreadMs * random(), () => identify(connection))
  const onOpen = ({ detail: connection }: CustomEvent<Connection>): void => {
    const count = mesh.getConnections().length
    if (count <= atOnceMax) identify(connection)
    else if (isHub) after(soonMs + hubSpreadMs * random(), () => identify(connection))
    else if (count > soonMax) later(connection)
    else {
      after(soonMs, () => {
        const isUsed = connection.streams.some(({ protocol }) => !isCommon(protocol))
        if (isUsed) later(connection)
        else identify(connection)
      })
    }
  }
  mesh.addEventListener('connection:open', onOpen)
  return () => {
    mesh.removeEventListener('connection:open', onOpen)
    for (const timer of waiting) clearTimeout(timer)
  }
}
