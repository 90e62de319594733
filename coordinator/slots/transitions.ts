/**
 * What an action makes of a slot's record. Pure; the caller persists the result before anything of
 * it leaves the process.
 */
import assert from 'node:assert/strict'
import { compareFence, type Epoch, type Fence, type SlotId, type Term } from '../../protocol/ids.ts'
import {
  type Allocation,
  allocationCodec,
  newerVersionReason,
} from '../../protocol/orders/index.ts'
import type { SlotAction } from './actions.ts'
import type { Claim, Leaving, Placement, SlotRecord } from './records.ts'

export type TransitionContext = Readonly<{
  /** Coordinator's time. */
  nowMs: number
  /** For display. */
  wallMs: number
  /** When the placement's lease ends; it is not renewed from now on. */
  leaseEndMs: number
  /** The group's newest version. */
  version: number
}>

const leavingMax = 8
const exclusionsMax = 16
const retryMinMs = 2_000
const retryMaxMs = 300_000
/** What ran for longer than this did not fail "in a row". */
const soundMs = 600_000
const excludedMs = 600_000

export function emptySlot(slot: SlotId): SlotRecord {
  return { slot, leaving: [], failures: 0, notBeforeMs: 0, exclusions: [] }
}

/** The fence of the slot's next order. */
export function nextFence(record: SlotRecord, term: Term): Fence {
  return { term, epoch: ((record.fence?.epoch ?? 0) + 1) as Epoch }
}

/** The record with a new newest epoch; `placement` was built from {@link nextFence}. */
export function withPlacement(
  record: SlotRecord,
  placement: Placement,
  context: TransitionContext,
  { beside = false }: Readonly<{ beside?: boolean | undefined }> = {},
): SlotRecord {
  assert(!record.fence || compareFence(placement.fence, record.fence) > 0, 'an epoch only rises')
  const { finished: _, ...kept } = beside
    ? vacated(record, 'updating', newerVersionReason, context)
    : vacated(record, 'revoked', 'another node runs it', context)
  // A container that goes on under the new epoch does not leave.
  const leaving = kept.leaving.filter(({ instance }) => instance !== placement.instance)
  return { ...kept, leaving, fence: placement.fence, placement }
}

type RecordAction = Exclude<
  SlotAction,
  Readonly<{ do: 'allocate' | 'readopt' | 'redeliver' | 'revoke' | 'forget' }>
>

/** The record after `action`; the same object when it changes nothing. */
export function applyAction(
  record: SlotRecord,
  action: RecordAction,
  context: TransitionContext,
): SlotRecord {
  switch (action.do) {
    case 'vacate':
      return vacated(record, action.why, action.reason, context, action.claim)
    case 'fail':
      return failed(record, action.fault, context)
    case 'finish': {
      if (!record.placement) return record
      const { version } = record.placement
      const over = vacated(record, 'revoked', 'the container ended', context)
      return { ...over, finished: { exitCode: action.exitCode, version } }
    }
    case 'observe': {
      if (!record.placement) return record
      const placement = { ...record.placement, state: action.state, stateSinceMs: context.wallMs }
      return { ...record, placement }
    }
    case 'release':
      return { ...record, leaving: record.leaving.filter((old) => !isOf(old, action)) }
    case 'outrank':
      return outranked(record, action, context)
    case 'reset': {
      const { finished: _, fault: __, ...kept } = record
      return { ...kept, failures: 0, notBeforeMs: 0, exclusions: [] }
    }
  }
}

function isOf(a: Leaving, b: Readonly<{ node: string; fence: Fence }>): boolean {
  return a.node === b.node && compareFence(a.fence, b.fence) === 0
}

function vacated(
  record: SlotRecord,
  why: Leaving['why'],
  reason: string,
  { nowMs, leaseEndMs }: TransitionContext,
  claim?: Claim,
): SlotRecord {
  const { placement, ...kept } = record
  if (!placement) return record
  const old: Leaving = {
    ...{ ...placement, why, reason, sinceMs: nowMs, leaseEndMs },
    ...(claim ? { claim } : {}),
  }
  return { ...kept, leaving: [...record.leaving, old].slice(-leavingMax) }
}

function failed(
  record: SlotRecord,
  fault: NonNullable<SlotRecord['fault']>,
  context: TransitionContext,
): SlotRecord {
  const { placement } = record
  if (!placement) return record
  const { nowMs } = context
  const ranWell = placement.state === 'running' && nowMs - placement.issuedMs > soundMs
  const failures = ranWell ? 1 : record.failures + 1
  const waitMs = Math.min(retryMaxMs, retryMinMs * 2 ** Math.min(failures - 1, 20))
  const others = record.exclusions.filter(
    ({ node, untilMs }) => node !== placement.node && untilMs > nowMs,
  )
  const exclusions = [...others, { node: placement.node, untilMs: nowMs + excludedMs }]
  return {
    ...vacated(record, 'revoked', fault.code, context),
    fault,
    failures,
    notBeforeMs: nowMs + waitMs,
    exclusions: exclusions.slice(-exclusionsMax),
  }
}

/**
 * An order of ours that the store does not know: it was restored from an older state. The fence
 * rises above the order, and within the reconnect window its node may get the slot.
 */
function outranked(
  record: SlotRecord,
  { node, held, mayReturn }: Extract<SlotAction, { do: 'outrank' }>,
  context: TransitionContext,
): SlotRecord {
  const raised: SlotRecord = {
    ...vacated(record, 'revoked', 'a newer order was found', context),
    fence: held.fence,
  }
  if (!held.order || !mayReturn) return raised
  const order: Allocation = allocationCodec.decode(held.order.payload)
  const returning: Leaving = {
    ...{ fence: held.fence, node, instance: order.instance, bundle: order.bundle },
    ...{ resources: order.resources, order: held.order, state: held.report.state },
    ...{ issuedMs: order.issuedMs, acceptUntilMs: order.acceptUntilMs },
    // The order does not say which version it is of; the newest is what the tenant wants.
    version: context.version,
    stateSinceMs: context.wallMs,
    why: 'lapsed',
    reason: 'a newer order was found',
    sinceMs: context.nowMs,
    leaseEndMs: context.leaseEndMs,
  }
  return { ...raised, leaving: [...raised.leaving, returning].slice(-leavingMax) }
}
