/** Older epochs of a slot: when they still stand in the way, may come back, or can be forgotten. */
import { compareFence, type SlotId } from '../../protocol/ids.ts'
import type { Leaving, PlacementState, SlotRecord } from './records.ts'
import { type GroupTarget, hasLeft, type SlotsInput } from './views.ts'

type World = Pick<SlotsInput, 'nodes' | 'nowMs' | 'numbers'>

export function isFinal(state: PlacementState): boolean {
  return state === 'stopped' || state === 'failed'
}

const progress: Readonly<Record<PlacementState, number>> = {
  ordered: 0,
  accepted: 0,
  downloading: 1,
  creating: 2,
  restarting: 3,
  running: 3,
  stopping: -1,
  stopped: -1,
  failed: -1,
}

/** How far an instance is; what runs is never given up for what does not. */
export function progressOf(state: PlacementState): number {
  return progress[state]
}

type Shown = 'running' | 'over' | 'unknown'

/** What the node shows of it now. */
function shownOf(slot: SlotId, old: Leaving, { nodes, nowMs }: World): Shown {
  const view = nodes.get(old.node)
  if (view && (hasLeft(view, slot) || view.banned)) return 'over'
  if (!view?.connected) return 'unknown'
  const held = view.held.get(slot)
  if (held && compareFence(held.fence, old.fence) === 0) {
    return isFinal(held.report.state) ? 'over' : 'running'
  }
  const acknowledged = view.acknowledged.get(slot)
  const wasTaken = acknowledged !== undefined && compareFence(acknowledged, old.fence) >= 0
  const refusal = view.refusals.get(slot)
  const wasRefused = refusal !== undefined && compareFence(refusal.fence, old.fence) === 0
  // An order under way may still be taken.
  return wasTaken || wasRefused || nowMs > old.acceptUntilMs ? 'over' : 'unknown'
}

/** Whether it goes on, renewed, until the slot's newer version runs; `isWanted`: the slot is. */
export function runsOn(
  { why }: Leaving,
  { placement }: Pick<SlotRecord, 'placement'>,
  isWanted: boolean,
): boolean {
  return why === 'updating' && isWanted && placement?.state !== 'running'
}

/** Whether the slot's next epoch must wait for this one: its lease runs, and it is not known over. */
export function blocksSlot(slot: SlotId, old: Leaving, world: World): boolean {
  if (old.why === 'updating' || shownOf(slot, old, world) === 'over') return false
  return world.nowMs <= old.leaseEndMs + world.numbers.skewMs
}

/** Whether nothing is left to say to its node, and nothing to hope for from it. */
export function mayRelease(
  slot: SlotId,
  old: Leaving,
  world: World,
  target: GroupTarget | undefined,
): boolean {
  const { nodes, nowMs, numbers } = world
  const view = nodes.get(old.node)
  if (view?.connected) {
    const held = view.held.get(slot)
    const shows = held !== undefined && compareFence(held.fence, old.fence) === 0
    return !shows && shownOf(slot, old, world) === 'over'
  }
  if (view && (hasLeft(view, slot) || view.banned)) return true
  // Away. Should it come back later still, what it shows is judged anew.
  const hopeMs = old.why === 'lapsed' && target && !target.deleted ? target.orphanAfterMs : 0
  return nowMs > old.leaseEndMs + numbers.guardMs + numbers.skewMs + hopeMs
}

/** Whether its node is back and runs it, so that it can be given the slot again. */
export function isReturning(slot: SlotId, old: Leaving, world: World, version: number): boolean {
  if (old.why !== 'lapsed' || old.version !== version) return false
  const view = world.nodes.get(old.node)
  if (!view?.connected || view.banned || view.departed) return false
  const held = view.held.get(slot)
  if (!held || compareFence(held.fence, old.fence) !== 0) return false
  return progressOf(held.report.state) >= 0
}
