/**
 * Asks a peer what it speaks: at once over the first connections, over further ones only when they
 * have lasted for a while. Identify, and the gossip and DHT streams that it leads to, cost more than
 * the handshake itself. A swarm dials thirty homes in its first seconds, needs none of that to move
 * chunks, and would spend those seconds on it.
 */

import type { Identify } from '@libp2p/identify'
import type { Connection, Libp2p } from '@libp2p/interface'
import type { Logger } from '../log/index.ts'

/** As many as gossip wants for neighbours, and the coordinator. */
const atOnceMax = 7
/** A swarm's start is over by then. */
const laterMs = 10_000

/**
 * In place of identify's own listener (`runOnConnectionOpen: false`).
 * @returns what ends it
 */
export function identifyInTurn(
  mesh: Libp2p<{ identify: Identify }>,
  { logger }: { readonly logger: Logger },
): () => void {
  const waiting = new Set<NodeJS.Timeout>()
  const identify = (connection: Connection): void => {
    if (connection.status !== 'open') return
    mesh.services.identify.identify(connection).catch((error: unknown) => {
      logger.debug({ peer: connection.remotePeer.toString(), error }, 'a peer was not identified')
    })
  }
  const onOpen = ({ detail: connection }: CustomEvent<Connection>): void => {
    if (mesh.getConnections().length <= atOnceMax) {
      identify(connection)
      return
    }
    const timer = setTimeout(() => {
      waiting.delete(timer)
      identify(connection)
    }, laterMs)
    timer.unref()
    waiting.add(timer)
  }
  mesh.addEventListener('connection:open', onOpen)
  return () => {
    mesh.removeEventListener('connection:open', onOpen)
    for (const timer of waiting) clearTimeout(timer)
  }
}
