/**
 * Carries out a plan: records first, durable, then what follows from them. An effect that is lost
 * after its record is planned again; one that came before its record could be forgotten.
 */
import { setImmediate as breathe } from 'node:timers/promises'
import { describeError } from '../../protocol/errors.ts'
import {
  compareFence,
  type Fence,
  type GroupId,
  type PeerId,
  parseSlotId,
  type SlotId,
} from '../../protocol/ids.ts'
import type { Logger } from '../../protocol/log/index.ts'
import type { AuditAct } from '../audit/index.ts'
import type { Groups } from '../groups/index.ts'
import type { Metering } from '../ledger/index.ts'
import { orderHash } from '../orders/index.ts'
import {
  applyAction,
  emptySlot,
  type SlotAction,
  type SlotRecord,
  type TransitionContext,
  withPlacement,
} from '../slots/index.ts'
import type { Deliveries } from './deliveries.ts'
import type { LeaseRenewals } from './lease-renewals.ts'
import type { BuiltOrder, OrderBuilder } from './order-builder.ts'
import type { SlotBook } from './slot-book.ts'

export interface PlanApplier {
  /** True when records changed, so that another plan may find more to do. */
  apply(actions: readonly SlotAction[]): Promise<boolean>
}

export type PlanApplierComponents = Readonly<{
  book: SlotBook
  builder: OrderBuilder
  deliveries: Deliveries
  renewals: Pick<LeaseRenewals, 'ticketGiven'>
  groups: Pick<Groups, 'byId' | 'forgetDeleted'>
  /** When the newest lease of the slot ends, as far as anybody may rely on. */
  leaseEndMs: (slot: SlotId) => number
  /** Coordinator's time. */
  nowMs: () => number
  wallMs: () => number
  stats?: { allocations: number }
  /** Absent: nothing is charged, as in tests. */
  metering?: Pick<Metering, 'look' | 'end'>
  logger: Logger
}>

/** Actions that make an order; those that forget a group; and those that change a record alone. */
type Ordering = Extract<SlotAction, Readonly<{ do: 'allocate' | 'readopt' }>>
type Change = Exclude<SlotAction, Readonly<{ do: 'allocate' | 'readopt' | 'forget' }>>
type Changed = Map<SlotId, SlotRecord>

/** Sealing costs milliseconds each: heartbeats must not wait for hundreds of them. */
const ordersPerRound = 32
const ordersPerBreath = 4
/** An order that could not be made is not tried again at once: what is wrong seldom goes so soon. */
const faultPauseMs = 30_000

export function createPlanApplier(components: PlanApplierComponents): PlanApplier {
  const { book, builder, deliveries, renewals, groups, nowMs, wallMs, logger } = components

  const recordOf = (slot: SlotId, changed: Changed): SlotRecord =>
    changed.get(slot) ?? book.slots.get(slot) ?? emptySlot(slot)

  const contextOf = (slot: SlotId): TransitionContext => {
    const version = groups.byId(parseSlotId(slot).group)?.version ?? 0
    return {
      ...{ nowMs: nowMs(), wallMs: wallMs(), version },
      leaseEndMs: components.leaseEndMs(slot),
    }
  }

  const change = (action: Change, changed: Changed): void => {
    const { slot } = action
    const record = recordOf(slot, changed)
    if (action.do === 'redeliver') {
      if (record.placement) deliveries.order(slot, record.placement)
      return
    }
    if (action.do === 'revoke') {
      deliveries.revoke(slot, action)
      return
    }
    const next = applyAction(record, action, contextOf(slot))
    if (next === record) return
    changed.set(slot, next)
    if (action.do === 'observe') return
    const { node, fence } = subjectOf(action, record)
    const reason = 'reason' in action ? action.reason : undefined
    const fault = 'fault' in action ? action.fault : undefined
    logger.info({ slot, node, ...fence, did: action.do, reason, fault }, 'a slot changed')
  }

  const order = (action: Ordering, changed: Changed): BuiltOrder | undefined => {
    const { slot } = action
    const record = recordOf(slot, changed)
    const group = groups.byId(parseSlotId(slot).group)
    if (!group) return undefined
    try {
      const built =
        action.do === 'readopt'
          ? builder.readopt(record, action.from)
          : builder.allocate(record, { ...action, group })
      if (!built) return undefined
      const { placement } = built
      changed.set(slot, withPlacement(record, placement, contextOf(slot)))
      const { node, instance, fence } = placement
      logger.info({ slot, node, instance, ...fence, did: action.do }, 'a slot is ordered')
      return built
    } catch (error) {
      logger.error({ slot, error }, 'an order could not be made')
      const fault = { code: 'ORDER_NOT_MADE', message: describeError(error).slice(0, 2_000) }
      const notBeforeMs = nowMs() + faultPauseMs
      changed.set(slot, { ...record, fault, failures: record.failures + 1, notBeforeMs })
      return undefined
    }
  }

  const forget = async (group: GroupId): Promise<void> => {
    await book.retire(group, wallMs())
    await groups.forgetDeleted(group)
    logger.info({ group }, 'a deleted group is gone')
  }

  /** Tells the meters what became of the epoch that `before` had. */
  const meter = ({ slot, placement: old }: SlotRecord, atMs: number): void => {
    const placement = book.slots.get(slot)?.placement
    if (!old) return
    if (!placement || compareFence(placement.fence, old.fence) !== 0) {
      components.metering?.end(slot, old, atMs)
    } else if (placement.state !== old.state) {
      components.metering?.look(slot, placement, placement.state, atMs)
    }
  }

  return {
    async apply(actions) {
      const changed: Changed = new Map()
      const built: [SlotId, BuiltOrder][] = []
      const forgotten: GroupId[] = []
      book.mark(actions.filter(changesEpoch).map(({ slot }) => slot))
      try {
        for (const action of actions) {
          if (action.do === 'forget') forgotten.push(action.group)
          else if (action.do === 'allocate' || action.do === 'readopt') {
            if (built.length >= ordersPerRound) continue
            const made = order(action, changed)
            if (made) built.push([action.slot, made])
            if (built.length % ordersPerBreath === 0) await breathe()
          } else change(action, changed)
        }
        if (changed.size > 0) {
          const atMs = nowMs()
          const before = [...changed.keys()].map((slot) => book.slots.get(slot))
          await book.commit([...changed.values()], built.map(allocationAct))
          for (const record of before) if (record) meter(record, atMs)
        }
      } finally {
        book.unmark()
      }
      for (const [slot, { placement, signed }] of built) {
        book.setLease(slot, placement.fence, signed.leaseEndMs)
        renewals.ticketGiven(slot, placement.fence, signed.ticketExpiresMs)
        deliveries.order(slot, placement)
      }
      if (components.stats) components.stats.allocations += built.length
      for (const group of forgotten) await forget(group)
      return changed.size > 0
    },
  }
}

function allocationAct([slot, { placement }]: readonly [SlotId, BuiltOrder]): AuditAct {
  const { node, instance, fence, order } = placement
  const facts = { slot, node, instance, ...fence, order: orderHash(order) }
  return { kind: 'allocation', by: 'coordinator', facts }
}

/** Which epoch, on which node, an action is about; for the log. */
function subjectOf(
  action: Change,
  { placement, fence }: SlotRecord,
): Readonly<{ node: PeerId | undefined; fence: Fence | undefined }> {
  if (action.do === 'release' || action.do === 'revoke') return action
  if (action.do === 'outrank') return { node: action.node, fence: action.held.fence }
  return placement ?? { node: undefined, fence }
}

/** Whether the slot's newest epoch becomes another one: its lease must not grow meanwhile. */
function changesEpoch(action: SlotAction): action is Extract<SlotAction, { slot: SlotId }> {
  switch (action.do) {
    case 'allocate':
    case 'readopt':
    case 'vacate':
    case 'fail':
    case 'finish':
    case 'outrank':
      return true
    default:
      return false
  }
}
