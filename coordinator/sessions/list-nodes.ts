/** The nodes as an operator sees them: those that said hello since the start, and those claimed. */
import type { Capacity } from '../../protocol/control/index.ts'
import type { PeerId } from '../../protocol/ids.ts'
import type { NodeView } from '../slots/index.ts'

export type NodeListing = Readonly<{
  node: PeerId
  /** The chef's id. */
  chef?: string
  connected: boolean
  banned: boolean
  /** Unknown (absent) until it has said hello. */
  household?: string
  country?: string
  capacity?: Capacity
  /** Slots that it holds. */
  instances: number
}>

export function listNodes(
  nodes: ReadonlyMap<PeerId, NodeView>,
  claimed: Iterable<Readonly<{ node: PeerId; chefId: string }>>,
): readonly NodeListing[] {
  const all = new Map<PeerId, NodeListing>()
  for (const { node, chefId } of claimed) {
    all.set(node, { node, chef: chefId, connected: false, banned: false, instances: 0 })
  }
  for (const {
    node,
    household,
    country,
    owner: chef,
    connected,
    banned,
    capacity,
    held,
  } of nodes.values()) {
    all.set(node, {
      ...{ node, connected, banned, household, instances: held.size },
      ...(chef === undefined ? {} : { chef }),
      ...(country === undefined ? {} : { country }),
      ...(capacity ? { capacity } : {}),
    })
  }
  return [...all.values()].sort((a, b) => (a.node < b.node ? -1 : 1))
}
