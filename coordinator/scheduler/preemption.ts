/**
 * Whom a group of higher rank displaces when no free node fits. The victims are told to stop, their
 * room is claimed for the group (records.ts, Claim), and the group is placed there once they have
 * stopped; a crash between the two loses nothing, because the claim lies in the victims' records.
 */
import type { PeerId, SlotId } from '../../protocol/ids.ts'
import { parseSlotId } from '../../protocol/ids.ts'
import type { GroupTarget, Placement, SlotsInput } from '../slots/index.ts'
import type { ChooseContext } from './choose-node.ts'
import { allProblems, lacksOnlyRoom } from './filters.ts'
import type { NodeUsage } from './usage.ts'

export type Victim = Readonly<{ slot: SlotId; placement: Placement; rank: number }>
export type Preemption = Readonly<{ node: PeerId; victims: readonly Victim[] }>

type World = Pick<SlotsInput, 'groups' | 'nowMs' | 'preemption'>

/** The node whose lower instances cost least to displace; undefined: none would help. */
export function choosePreemption(
  target: GroupTarget,
  context: ChooseContext,
  world: World,
  /** Slots of which this plan has disposed already. */
  taken: ReadonlySet<SlotId>,
): Preemption | undefined {
  if (!world.preemption || !target.rank) return undefined
  let best: Preemption | undefined
  for (const { node } of context.fleet.entries()) {
    const found = preemptionOn(node, target, context, world, taken)
    if (found && (!best || isCheaper(found, best))) best = found
  }
  return best
}

function preemptionOn(
  node: PeerId,
  target: GroupTarget,
  context: ChooseContext,
  world: World,
  taken: ReadonlySet<SlotId>,
): Preemption | undefined {
  const entry = context.fleet.get(node)
  const view = entry?.view
  const used = context.usage.of(node)
  // Where somebody is being stopped already, nobody else is.
  if (!view || entry.usage.claim || context.excluded.has(node)) return undefined
  const keysPlanned = context.keysPlanned.get(node) ?? 0
  const problemsWith = (usage: NodeUsage) => allProblems({ view, target, used: usage, keysPlanned })
  if (!lacksOnlyRoom(problemsWith(used))) return undefined
  let left: NodeUsage = { ...used, gpuUuids: new Set(used.gpuUuids), groups: new Set(used.groups) }
  const victims: Victim[] = []
  for (const victim of displaceable(node, target, context, world)) {
    if (taken.has(victim.slot)) return undefined // it is being freed already
    left = without(left, victim)
    victims.push(victim)
    if (problemsWith(left).length === 0) return { node, victims }
  }
  return undefined
}

/** Lower instances that have run their least time, the cheapest first. */
function displaceable(
  node: PeerId,
  target: GroupTarget,
  { fleet }: ChooseContext,
  { groups, nowMs, preemption }: World,
): readonly Victim[] {
  const victims: Victim[] = []
  for (const { slot, placement } of fleet.recordsOn(node)) {
    if (placement?.node !== node) continue
    const rank = groups.get(parseSlotId(slot).group)?.rank ?? 0
    const isProtected = nowMs - placement.issuedMs < (preemption?.minRunMs ?? 0)
    if (rank < (target.rank ?? 0) && !isProtected) victims.push({ slot, placement, rank })
  }
  return victims.sort(compareVictims)
}

/** Lowest priority, then deletion cost, then youngest. */
function compareVictims(a: Victim, b: Victim): number {
  return (
    a.rank - b.rank ||
    (a.placement.deletionCost ?? 0) - (b.placement.deletionCost ?? 0) ||
    b.placement.issuedMs - a.placement.issuedMs ||
    (a.slot < b.slot ? -1 : 1)
  )
}

function isCheaper(a: Preemption, b: Preemption): boolean {
  const costliest = ({ victims }: Preemption): Victim | undefined => victims.at(-1)
  const [ofA, ofB] = [costliest(a), costliest(b)]
  if (!ofA || !ofB) return ofA === undefined
  const byRank = ofA.rank - ofB.rank
  if (byRank !== 0) return byRank < 0
  if (a.victims.length !== b.victims.length) return a.victims.length < b.victims.length
  return compareVictims(ofA, ofB) < 0
}

function without(usage: NodeUsage, { placement: { resources } }: Victim): NodeUsage {
  const gpuUuids = new Set(usage.gpuUuids)
  for (const uuid of resources.gpuUuids) gpuUuids.delete(uuid)
  return {
    ...usage,
    gpuUuids,
    milliCpus: usage.milliCpus - resources.milliCpus,
    memoryBytes: usage.memoryBytes - resources.memoryBytes,
    storageBytes: usage.storageBytes - resources.storageBytes,
    allocations: usage.allocations - 1,
  }
}
