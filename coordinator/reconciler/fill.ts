/**
 * Vacant slots get nodes: groups of higher rank first, and of one rank those that have waited
 * longest, so that newcomers cannot starve who was here before. Where no free node fits, lower
 * groups' instances make room. Pure: actions out.
 */
import type { GroupId, PeerId, SlotId } from '../../protocol/ids.ts'
import { newerVersionReason, preemptedReason } from '../../protocol/orders/index.ts'
import {
  type ChooseContext,
  chooseNode,
  choosePreemption,
  drawOf,
  type Fleet,
  planUsage,
  spreadOf,
} from '../scheduler/index.ts'
import type { GroupTarget, SlotAction, SlotRecord, SlotsInput } from '../slots/index.ts'
import { excludedOf } from './explain-group.ts'

/** A group with slots that may be given to nodes now. */
export type Fill = Readonly<{
  target: GroupTarget
  records: readonly SlotRecord[]
  vacant: readonly SlotId[]
  /** These run an older version, which goes on until the newer one runs elsewhere. */
  beside?: boolean
}>

export type Filled = Readonly<{
  actions: readonly SlotAction[]
  /** Groups with slots that no node can take now. */
  unplaced: ReadonlySet<GroupId>
  /** Groups with slots that this plan had no turn for. */
  unfinished: ReadonlySet<GroupId>
}>

/** So many orders are sealed in some 50 ms; what is left is planned next, from what is true then. */
const allocationsMax = 128
/** Each walks over all nodes. */
const preemptionsMax = 8

type Budget = { allocations: number; preemptions: number }

export function fillSlots(fills: readonly Fill[], input: SlotsInput, fleet: Fleet): Filled {
  const actions: SlotAction[] = []
  const unplaced = new Set<GroupId>()
  const unfinished = new Set<GroupId>()
  const budget: Budget = { allocations: allocationsMax, preemptions: preemptionsMax }
  const common = {
    ...{ fleet, usage: planUsage((node) => fleet.get(node)?.usage, input.kept) },
    keysPlanned: new Map<PeerId, number>(),
  }
  const freed = new Set<SlotId>()
  for (const fill of inTurn(fills, input)) {
    const { target, records } = fill
    const placed = records.flatMap(({ placement }) => (placement ? [placement.node] : []))
    const context = {
      ...common,
      excluded: excludedOf(records, input.nowMs),
      spread: spreadOf(placed, (node) => fleet.get(node)?.domains),
    }
    const left = placeSlots(fill, context, budget, actions)
    if (left > 0 && budget.allocations > 0 && fill.beside) {
      // No room beside it: then one less is served for a while.
      for (const slot of fill.vacant.slice(-left)) {
        actions.push({ do: 'vacate', slot, why: 'revoked', reason: newerVersionReason })
      }
    } else if (left > 0 && budget.allocations > 0) {
      unplaced.add(target.group)
      makeRoom(target, left, { context, input, budget, freed, actions })
    } else if (left > 0) unfinished.add(target.group)
  }
  return { actions, unplaced, unfinished }
}

/** Higher ranks first, then who waits longest; what does not wait yet comes last. */
function inTurn(fills: readonly Fill[], { waitingSinceMs, nowMs }: SlotsInput): readonly Fill[] {
  const since = ({ target }: Fill): number => waitingSinceMs?.get(target.group) ?? nowMs
  return fills.toSorted(
    (a, b) =>
      (b.target.rank ?? 0) - (a.target.rank ?? 0) ||
      since(a) - since(b) ||
      (a.target.group < b.target.group ? -1 : 1),
  )
}

/** How many slots found no node, or had no turn. */
function placeSlots(
  { target, records, vacant, beside = false }: Fill,
  context: ChooseContext & Readonly<{ keysPlanned: Map<PeerId, number> }>,
  budget: Budget,
  actions: SlotAction[],
): number {
  const { usage, keysPlanned, spread, fleet } = context
  const { milliCpus, memoryBytes, storageBytes, shmBytes } = target
  const epochs = new Map(records.map(({ slot, fence }) => [slot, fence?.epoch ?? 0]))
  for (const [at, slot] of vacant.entries()) {
    if (budget.allocations <= 0) return vacant.length - at
    const draw = drawOf(`${slot} ${epochs.get(slot) ?? 0}`)
    const { node, gpuUuids } = chooseNode(target, context, draw)
    // The next slot of this group would be told the same.
    if (node === undefined) return vacant.length - at
    budget.allocations--
    actions.push({ do: 'allocate', slot, node, gpuUuids, beside })
    usage.add(node, slot, {
      ...{ milliCpus, memoryBytes, storageBytes, shmBytes, gpuUuids: [...gpuUuids] },
    })
    keysPlanned.set(node, (keysPlanned.get(node) ?? 0) + 1)
    spread.add(fleet.get(node)?.domains ?? [])
  }
  return 0
}

/** Room that is being made already is waited for. */
function makeRoom(
  target: GroupTarget,
  slots: number,
  at: Readonly<{
    context: ChooseContext
    input: SlotsInput
    budget: Budget
    freed: Set<SlotId>
    actions: SlotAction[]
  }>,
): void {
  const { context, input, budget, freed, actions } = at
  const { group, rank = 0 } = target
  for (let open = slots - context.fleet.claimsOf(group); open > 0; open--) {
    if (budget.preemptions-- <= 0) return
    const found = choosePreemption(target, context, input, freed)
    if (!found) return
    for (const { slot } of found.victims) {
      freed.add(slot)
      const claim = { group, rank }
      actions.push({ do: 'vacate', slot, why: 'revoked', reason: preemptedReason, claim })
    }
  }
}
