/** Offences as they can be read from slots and nodes at any moment: pure, no event needed. */
import { compareFence, type PeerId, type SlotId } from '../../protocol/ids.ts'
import type { NodeView, SlotRecord } from '../slots/index.ts'

/** How long after an order to stop a node that is connected may still show the instance. */
const stopMs = 10 * 60_000

export type Overdue = Readonly<{ node: PeerId; slot: SlotId; forMs: number }>

/**
 * What connected nodes show though it was to stop long ago. Counted from the later of the order to
 * stop and the node's last hello: a line that breaks loses the order, and the order is sent again.
 */
export function overdueStops(
  slots: Iterable<SlotRecord>,
  nodes: ReadonlyMap<PeerId, NodeView>,
  nowMs: number,
): readonly Overdue[] {
  const overdue: Overdue[] = []
  for (const { slot, leaving } of slots) {
    for (const { node, fence, why, sinceMs } of leaving) {
      const view = nodes.get(node)
      if (why !== 'revoked' || !view?.connected) continue
      const held = view.held.get(slot)
      if (!held || compareFence(held.fence, fence) !== 0) continue
      const { state } = held.report
      if (state === 'stopped' || state === 'failed') continue
      const forMs = nowMs - Math.max(sinceMs, view.helloMs ?? nowMs)
      if (forMs >= stopMs) overdue.push({ node, slot, forMs })
    }
  }
  return overdue
}

export type Lapse = Readonly<{ node: PeerId; key: string; sinceMs: number }>

/** Leases that ran out, each under a key of its own, as long as the slot remembers them. */
export function lapsesIn(slots: Iterable<SlotRecord>): readonly Lapse[] {
  const lapses: Lapse[] = []
  for (const { slot, leaving } of slots) {
    for (const { node, fence, why, sinceMs } of leaving) {
      if (why === 'lapsed')
        lapses.push({ node, sinceMs, key: `${slot} ${fence.term}.${fence.epoch}` })
    }
  }
  return lapses
}

/** Lapses that are the nodes' own: when many lapse at once, the observer's line is the likelier cause. */
export function ownLapses(lapses: readonly Lapse[], nodes: number): readonly Lapse[] {
  const silent = new Set(lapses.map(({ node }) => node)).size
  return silent > Math.max(3, nodes / 10) ? [] : lapses
}
