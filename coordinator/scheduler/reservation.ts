/**
 * A node for a group that has waited long: small groups would otherwise take each bit of room the
 * moment it is freed, and one that needs a whole node would wait for ever. Nobody is stopped for it;
 * what goes from the node is only not replaced there by groups that stand no higher.
 */
import type { PeerId } from '../../protocol/ids.ts'
import type { Claim, GroupTarget } from '../slots/index.ts'
import { allProblems, lacksOnlyRoom } from './filters.ts'
import type { Fleet } from './fleet.ts'
import { emptyUsage } from './usage.ts'

/** Who waits for longer has a node kept. */
const keptAfterMs = 300_000

/** The node that needs to lose least before one slot of `target` fits; undefined: none ever will. */
function chooseReservation(
  target: GroupTarget,
  fleet: Fleet,
  taken: ReadonlyMap<PeerId, Claim>,
): PeerId | undefined {
  let best: Readonly<{ node: PeerId; allocations: number }> | undefined
  for (const { node, view, usage } of fleet.entries()) {
    if (taken.has(node) || usage.claim) continue
    const { allocations } = usage
    if (best && allocations > best.allocations) continue
    if (best && allocations === best.allocations && node > best.node) continue
    const at = { view, target, keysPlanned: 0 }
    if (!lacksOnlyRoom(allProblems({ ...at, used: usage }))) continue
    if (allProblems({ ...at, used: emptyUsage() }).length > 0) continue
    best = { node, allocations }
  }
  return best?.node
}

/** Nodes kept for those who have waited longest, one for each rank; `before` are kept on. */
export function keepNodes(
  waiting: Iterable<readonly [GroupTarget, number]>,
  fleet: Fleet,
  before: ReadonlyMap<PeerId, Claim>,
): ReadonlyMap<PeerId, Claim> {
  const longest = new Map<number, Readonly<{ target: GroupTarget; waitedMs: number }>>()
  for (const [target, waitedMs] of waiting) {
    const rank = target.rank ?? 0
    const isLonger = waitedMs > Math.max(keptAfterMs, longest.get(rank)?.waitedMs ?? 0)
    if (isLonger) longest.set(rank, { target, waitedMs })
  }
  const kept = new Map<PeerId, Claim>()
  for (const [rank, { target }] of longest) {
    const { group } = target
    const old = [...before].find(([, claim]) => claim.group === group)?.[0]
    const view = old && fleet.get(old)?.view
    const node = view?.connected && !view.departed ? old : chooseReservation(target, fleet, kept)
    if (node !== undefined) kept.set(node, { group, rank })
  }
  return kept
}
