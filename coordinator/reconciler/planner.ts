/**
 * Plans what has changed, over an index that is kept as things change: the same plans as over
 * everything, at a cost that goes by the changes and not by how much is placed. It holds no truth of
 * its own: everything in it can be built anew from records and sessions.
 */
import type { GroupId, PeerId } from '../../protocol/ids.ts'
import { compareFence, parseSlotId } from '../../protocol/ids.ts'
import { Fleet, keepNodes } from '../scheduler/index.ts'
import {
  type Claim,
  type GroupTarget,
  type NodeView,
  type SlotRecord,
  type SlotsInput,
  wantedSlots,
} from '../slots/index.ts'
import { Agenda, type AgendaSizes } from './agenda.ts'
import { nextLookMs } from './next-look.ts'
import { planSlots, type SlotsPlan } from './plan.ts'
import { nodesOf } from './plan-index.ts'

export type PlannerComponents = Readonly<{
  sizes?: AgendaSizes
  nodes: ReadonlyMap<PeerId, NodeView>
  targets: Pick<ReadonlyMap<GroupId, GroupTarget>, 'get' | 'has' | 'keys'>
  recordsOf: (group: GroupId) => readonly SlotRecord[]
  /** Groups that have records, also those that no store knows. */
  recordedGroups: () => Iterable<GroupId>
  /** How many records the group has. */
  sizeOf: (group: GroupId) => number
  recordsOn: (node: PeerId) => Iterable<SlotRecord>
}>

/** What changes from plan to plan. */
export type PlannerInput = Omit<SlotsInput, 'groups' | 'nodes' | 'waitingSinceMs' | 'kept'>

export class Planner {
  readonly fleet: Fleet
  /** Groups with slots that no node could take, and since when (coordinator's time). */
  readonly waitingSinceMs = new Map<GroupId, number>()
  /** Groups that want slots and whose image is not cached yet. */
  readonly #imageless = new Set<GroupId>()
  /** Whose use has changed with the records; of the node itself there is no news. */
  readonly #stale = new Set<PeerId>()
  readonly #parts: PlannerComponents
  readonly #agenda: Agenda
  #kept: ReadonlyMap<PeerId, Claim> = new Map()
  #freedSeen = 0
  #settledSeen: boolean | undefined

  constructor(parts: PlannerComponents) {
    this.#parts = parts
    this.fleet = new Fleet(parts)
    this.#agenda = new Agenda({
      ...(parts.sizes ? { sizes: parts.sizes } : {}),
      groups: () => new Set([...parts.targets.keys(), ...parts.recordedGroups()]),
      nodes: () => parts.nodes.keys(),
      slotsOf: parts.sizeOf,
    })
    this.#agenda.touchAll()
  }

  /** Whether a plan would look at anything. */
  get hasNews(): boolean {
    return !this.#agenda.isEmpty || this.#stale.size > 0
  }

  touchGroup(group: GroupId): void {
    this.#agenda.touchGroup(group)
  }

  touchNode(node: PeerId): void {
    this.#agenda.touchNode(node)
  }

  touchAll(): void {
    this.#agenda.touchAll()
  }

  /** News that may be of any image. */
  touchImageless(): void {
    for (const group of this.#imageless) this.#agenda.touchGroup(group)
  }

  /** After these records changed from `before`. */
  touchRecord(record: SlotRecord, before: SlotRecord | undefined): void {
    this.#agenda.touchGroup(parseSlotId(record.slot).group)
    for (const node of nodesOf(record)) this.#stale.add(node)
    if (before) for (const node of nodesOf(before)) this.#stale.add(node)
  }

  tick(nowMs: number): void {
    this.#agenda.tick(nowMs)
    this.#kept = keepNodes(this.#waited(nowMs), this.fleet, this.#kept)
  }

  plan(input: PlannerInput): SlotsPlan {
    const { nodes: views, targets, recordsOf } = this.#parts
    if (this.#settledSeen !== input.settled) this.#agenda.touchAll()
    this.#settledSeen = input.settled
    const nodes = this.#agenda.takeNodes()
    for (const node of nodes) this.#look(node)
    for (const node of this.#stale) if (!nodes.has(node)) this.fleet.refresh(node)
    this.#stale.clear()
    if (this.fleet.freed !== this.#freedSeen) {
      this.#freedSeen = this.fleet.freed
      this.#agenda.touchWaiting(this.#inLine())
    }
    const groups = this.#agenda.takeGroups()
    const world: SlotsInput = {
      ...{ ...input, groups: targets, nodes: views, waitingSinceMs: this.waitingSinceMs },
      kept: this.#kept,
    }
    const plan = planSlots(world, { recordsOf, fleet: this.fleet, groups, nodes })
    for (const group of groups) this.#settle(group, plan, world)
    return plan
  }

  /** Counts the node anew; groups are looked at of which it shows anything but what is recorded. */
  #look(node: PeerId): void {
    this.fleet.refresh(node)
    const view = this.#parts.nodes.get(node)
    for (const record of this.#parts.recordsOn(node)) {
      if (view && isAsRecorded(record, view)) continue
      this.#agenda.touchGroup(parseSlotId(record.slot).group)
    }
  }

  #settle(group: GroupId, { unplaced, unfinished }: SlotsPlan, world: SlotsInput): void {
    const target = this.#parts.targets.get(group)
    if (unfinished.has(group)) this.#agenda.touchGroup(group)
    if (!unplaced.has(group)) this.waitingSinceMs.delete(group)
    else if (!this.waitingSinceMs.has(group)) this.waitingSinceMs.set(group, world.nowMs)
    if (target && target.replicas > 0 && !target.bundle) this.#imageless.add(group)
    else this.#imageless.delete(group)
    const records = this.#parts.recordsOf(group)
    const isWanted = wantedSlots(target?.replicas ?? 0, records)
    this.#agenda.setDue(group, nextLookMs(target, records, isWanted, world))
  }

  *#waited(nowMs: number): Generator<readonly [GroupTarget, number]> {
    for (const [group, sinceMs] of this.waitingSinceMs) {
      const target = this.#parts.targets.get(group)
      if (target) yield [target, nowMs - sinceMs]
    }
  }

  /** Higher ranks first, then who waits longest. */
  #inLine(): readonly GroupId[] {
    const rank = (group: GroupId): number => this.#parts.targets.get(group)?.rank ?? 0
    return [...this.waitingSinceMs]
      .sort(([a, aMs], [b, bMs]) => rank(b) - rank(a) || aMs - bMs)
      .map(([group]) => group)
  }
}

/** Whether the node shows the record's placement in its recorded state, and nothing else of it. */
function isAsRecorded({ slot, placement, leaving }: SlotRecord, view: NodeView): boolean {
  if (!view.connected || view.departed || view.banned || leaving.length > 0) return false
  if (placement?.node !== view.node || view.refusals.has(slot)) return false
  const held = view.held.get(slot)
  return (
    held !== undefined &&
    compareFence(held.fence, placement.fence) === 0 &&
    held.report.state === placement.state
  )
}
