/**
 * What this host says and hears over circuits of relays. Relays are others' uplinks, lent for
 * control: whoever watches a network must see when more than that takes them. libp2p counts each
 * circuit's allowance down; this adds up by how much.
 */
import type { Connection } from '@libp2p/interface'
import type { Mesh } from '../mesh/index.ts'

export interface RelayedBytes {
  /** Both ways together, since the start; what came before a circuit was secured is left out. */
  readonly bytes: number
  stop(): void
}

/** Counts from now on. */
export function countRelayedBytes(mesh: Mesh): RelayedBytes {
  /** Open circuits, and what each might carry when it was opened. */
  const open = new Map<Connection, bigint>()
  let closedBytes = 0
  const usedBy = (connection: Connection, allowance: bigint): number =>
    Number(allowance - (connection.limits?.bytes ?? allowance))
  const onOpen = ({ detail }: CustomEvent<Connection>): void => {
    const allowance = detail.limits?.bytes
    if (allowance !== undefined) open.set(detail, allowance)
  }
  const onClose = ({ detail }: CustomEvent<Connection>): void => {
    const allowance = open.get(detail)
    if (allowance === undefined) return
    open.delete(detail)
    closedBytes += usedBy(detail, allowance)
  }
  mesh.addEventListener('connection:open', onOpen)
  mesh.addEventListener('connection:close', onClose)
  return {
    get bytes() {
      return [...open].reduce((sum, [circuit, most]) => sum + usedBy(circuit, most), closedBytes)
    },
    stop() {
      mesh.removeEventListener('connection:open', onOpen)
      mesh.removeEventListener('connection:close', onClose)
    },
  }
}
