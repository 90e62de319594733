/**
 * The pure step: desired groups and observed nodes in, a plan as data out. It is level-triggered:
 * the same world gives the same plan however it came about, so a crash between any two effects
 * loses nothing. Applied by plan-applier.ts, simulated in the tests beside it.
 *
 *     vacant ── allocate ──▶ placed ── lapsed ──▶ vacant + leaving(lapsed) ── node returns ─┐
 *        ▲                    │  ▲                                                          │
 *        │  finished/failed/  │  └───────────── readopt, a new epoch, container untouched ──┘
 *        │  gone/not wanted   ▼
 *        └───────────── leaving(revoked) ── node shows that it stopped ──▶ forgotten
 *
 * Example: nomad, `scheduler/reconciler/reconcile_cluster.go`.
 */
import {
  compareFence,
  type Fence,
  type GroupId,
  type PeerId,
  parseSlotId,
  type SlotId,
  slotId,
} from '../../protocol/ids.ts'
import { newerVersionReason } from '../../protocol/orders/index.ts'
import {
  blocksSlot,
  type GroupTarget,
  type IsWanted,
  isReturning,
  type Leaving,
  mayRelease,
  type Placement,
  progressOf,
  runsOn,
  type SlotAction,
  type SlotRecord,
  type SlotsInput,
  standingOf,
  wantedSlots,
} from '../slots/index.ts'
import { type Fill, fillSlots } from './fill.ts'
import { indexAll, type PlanIndex } from './plan-index.ts'

export type SlotsPlan = Readonly<{
  actions: readonly SlotAction[]
  /** Groups with slots that no node can take now. */
  unplaced: ReadonlySet<GroupId>
  /** Groups that this plan had no turn for: plan again. */
  unfinished: ReadonlySet<GroupId>
}>

/** It was sent when it was signed: before that has had its time, sending it again is only work. */
const onItsWayMs = 1_000

type Draft = Readonly<{
  input: SlotsInput
  index: PlanIndex
  actions: SlotAction[]
  fills: Fill[]
}>

/**
 * What to do now. Apply it, then plan again: some actions make room for the next. Without an index
 * everything is looked at.
 */
export function planSlots(input: SlotsInput, index: PlanIndex = indexAll(input)): SlotsPlan {
  const draft: Draft = { input, index, actions: [], fills: [] }
  for (const group of index.groups) planGroup(draft, group, index.recordsOf(group))
  planStrays(draft)
  const { actions, unplaced, unfinished } = fillSlots(draft.fills, input, index.fleet)
  return { actions: [...draft.actions, ...actions], unplaced, unfinished }
}

function planGroup(draft: Draft, group: GroupId, records: readonly SlotRecord[]): void {
  const target = draft.input.groups.get(group)
  const replicas = target?.replicas ?? 0
  const isWanted = wantedSlots(replicas, records)
  const start = draft.actions.length
  for (const record of records) {
    const wanted = isWanted(parseSlotId(record.slot).number)
    planLeaving(draft, target, record, wanted)
    if (!wanted) planUnwanted(draft, record)
    else if (target && record.placement) planPlaced(draft, target, record)
  }
  if (!target) return
  const planned = new Set(
    draft.actions.slice(start).map((action) => ('slot' in action ? action.slot : '')),
  )
  const wanted = records.filter(({ slot }) => isWanted(parseSlotId(slot).number))
  if (!target.held) {
    planUpdate(draft, target, wanted, planned)
    if (replicas > 0) planVacant(draft, target, records, isWanted)
  }
  const isOver = records.every(({ placement, leaving }) => !placement && leaving.length === 0)
  if (target.deleted && isOver) draft.actions.push({ do: 'forget', group })
}

/** Older epochs: told to stop while their nodes show them, forgotten once they do not. */
function planLeaving(
  draft: Draft,
  target: GroupTarget | undefined,
  record: SlotRecord,
  isWanted: boolean,
): void {
  const { input, actions } = draft
  const { slot } = record
  const returning = target && isWanted ? returningOf(draft, target, record) : undefined
  for (const old of record.leaving) {
    const { node, fence, reason } = old
    if (mayRelease(slot, old, input, target)) actions.push({ do: 'release', slot, node, fence })
    else if (runsOn(old, record, isWanted)) continue
    else if (old !== returning && isShown(old, slot, input)) {
      actions.push({ do: 'revoke', slot, node, fence, reason })
    }
  }
}

function isShown({ node, fence }: Leaving, slot: SlotId, input: SlotsInput): boolean {
  const view = input.nodes.get(node)
  const held = view?.connected ? view.held.get(slot) : undefined
  return held !== undefined && compareFence(held.fence, fence) === 0
}

function planUnwanted({ actions }: Draft, record: SlotRecord): void {
  const { slot, placement } = record
  if (placement) actions.push({ do: 'vacate', slot, why: 'revoked', reason: 'no longer wanted' })
  else if (record.finished || record.failures > 0) actions.push({ do: 'reset', slot })
}

function planPlaced(draft: Draft, target: GroupTarget, record: SlotRecord): void {
  const { input, actions } = draft
  const { slot, placement } = record
  if (!placement) return
  const returning = returningOf(draft, target, record)
  if (returning) {
    actions.push({ do: 'readopt', slot, from: returning })
    return
  }
  const standing = standingOf(slot, placement, {
    node: input.nodes.get(placement.node),
    nowMs: input.nowMs,
    leaseEndMs: input.leaseEndMs(slot),
    lostAfterMs: target.lostAfterMs,
    restart: target.restart,
    strict: target.strict,
    numbers: input.numbers,
  })
  switch (standing.is) {
    case 'unsent':
      if (input.nowMs - placement.issuedMs >= onItsWayMs) actions.push({ do: 'redeliver', slot })
      return
    case 'finished':
      actions.push({ do: 'finish', slot, exitCode: standing.exitCode })
      return
    case 'failed':
      actions.push({ do: 'fail', slot, fault: standing.fault })
      return
    case 'paused':
      actions.push(againInPlace(slot, placement, target))
      return
    case 'gone':
      actions.push({ do: 'vacate', slot, why: 'revoked', reason: standing.reason })
      return
    case 'lapsed':
      if (input.settled) {
        actions.push({ do: 'vacate', slot, why: 'lapsed', reason: 'the lease ran out' })
      }
      return
    case 'held': {
      const view = input.nodes.get(placement.node)
      const state = view?.connected ? view.held.get(slot)?.report.state : undefined
      if (state !== undefined && state !== placement.state) {
        actions.push({ do: 'observe', slot, state })
      }
    }
  }
}

/** On the same node under a new epoch, which is no replacement; a newer version may go anywhere. */
function againInPlace(slot: SlotId, placement: Placement, target: GroupTarget): SlotAction {
  const { node, resources, version } = placement
  return version === target.version && target.bundle !== undefined
    ? { do: 'allocate', slot, node, gpuUuids: resources.gpuUuids }
    : { do: 'vacate', slot, why: 'revoked', reason: 'it stopped when its lease lapsed' }
}

/** An older epoch that came back before its replacement runs gets the slot back. */
function returningOf(
  { input, index }: Draft,
  target: GroupTarget,
  { slot, placement, leaving }: SlotRecord,
): Leaving | undefined {
  const back = leaving.filter((old) => isReturning(slot, old, input, target.version))
  if (back.length === 0) return undefined
  const taken = new Set<PeerId>()
  for (const other of index.recordsOf(target.group)) {
    if (other.slot !== slot && other.placement) taken.add(other.placement.node)
  }
  const newestFirst = back.sort((a, b) => compareFence(b.fence, a.fence))
  return newestFirst.find(({ node }) => {
    const state = input.nodes.get(node)?.held.get(slot)?.report.state
    if (state === undefined || taken.has(node)) return false
    if (!placement) return true
    const replacement = progressOf(placement.state)
    return replacement < progressOf('running') && progressOf(state) >= replacement
  })
}

/**
 * A new version: one slot after the other, and only when all others run. Its next epoch starts beside
 * the old one, on another node, so that N are served throughout; a strict one stops first, N − 1 are
 * served meanwhile. What does not run is no loss and goes at once.
 */
function planUpdate(
  draft: Draft,
  target: GroupTarget,
  wanted: readonly SlotRecord[],
  planned: ReadonlySet<SlotId | ''>,
): void {
  if (target.bundle === undefined) return
  const running = wanted.filter(({ placement }) => placement?.state === 'running').length
  let mayStop = running >= target.replicas ? 1 : 0
  for (const { slot, placement, finished } of wanted) {
    if (finished && finished.version !== target.version) draft.actions.push({ do: 'reset', slot })
    if (!placement || placement.version === target.version || planned.has(slot)) continue
    if (placement.state === 'running' && mayStop-- <= 0) continue
    if (placement.state === 'running' && !target.strict) {
      draft.fills.push({ target, records: wanted, vacant: [slot], beside: true })
      continue
    }
    draft.actions.push({ do: 'vacate', slot, why: 'revoked', reason: newerVersionReason })
  }
}

/** The slots of a group that may get a new epoch now. */
function planVacant(
  draft: Draft,
  target: GroupTarget,
  records: readonly SlotRecord[],
  isWanted: IsWanted,
): void {
  if (target.bundle === undefined) return
  const bySlot = new Map(records.map((record) => [record.slot, record]))
  const vacant: SlotId[] = []
  for (let number = 0, found = 0; found < target.replicas; number++) {
    if (!isWanted(number)) continue
    found++
    const slot = slotId(target.group, number)
    const record = bySlot.get(slot)
    if (!record || isVacant(draft, target, record)) vacant.push(slot)
  }
  if (vacant.length > 0) draft.fills.push({ target, records, vacant })
}

/** Whether a new epoch may be handed out now; a readopt is planned instead where one may return. */
function isVacant(draft: Draft, target: GroupTarget, record: SlotRecord): boolean {
  const { input, actions } = draft
  if (record.placement || record.finished) return false
  const returning = returningOf(draft, target, record)
  if (returning) {
    actions.push({ do: 'readopt', slot: record.slot, from: returning })
    return false
  }
  if (input.nowMs < record.notBeforeMs) return false
  return !record.leaving.some((old) => blocksSlot(record.slot, old, input))
}

/** Orders that nodes hold and no record explains. */
function planStrays({ input, index, actions }: Draft): void {
  const { settled } = input
  for (const peer of index.nodes) {
    const view = input.nodes.get(peer)
    if (!view?.connected || view.banned) continue
    const { node, held: all } = view
    for (const [slot, held] of all) {
      const { fence } = held
      const record = input.slots.get(slot)
      const { group } = parseSlotId(slot)
      if (!record?.fence) {
        // A group that no store of ours knows runs on, unrenewed, until the operator decides.
        const isOurs = held.order !== undefined && input.groups.has(group)
        if (isOurs) actions.push({ do: 'outrank', slot, node, held, mayReturn: !settled })
        else if (input.isRetired(group)) {
          actions.push({ do: 'revoke', slot, node, fence, reason: 'the group is gone' })
        }
        continue
      }
      if (isExplained(record, node, fence)) continue
      if (held.order && compareFence(fence, record.fence) > 0) {
        actions.push({ do: 'outrank', slot, node, held, mayReturn: !settled })
      } else {
        // Also a higher epoch that is only claimed: without our signature it raises nothing.
        actions.push({ do: 'revoke', slot, node, fence, reason: 'the slot went elsewhere' })
      }
    }
  }
}

function isExplained({ placement, leaving }: SlotRecord, node: PeerId, fence: Fence): boolean {
  const isIt = (at: Readonly<{ node: PeerId; fence: Fence }>): boolean =>
    at.node === node && compareFence(at.fence, fence) === 0
  return (placement !== undefined && isIt(placement)) || leaving.some(isIt)
}
