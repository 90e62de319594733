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
import type { GroupRecord, Groups } from '../groups/index.ts'
import type { Metering } from '../ledger/index.ts'
import { orderHash } from '../orders/index.ts'
import {
  applyAction,
  emptySlot,
  type RestartAction,
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
  apply(actions: readonly (SlotAction | RestartAction)[]): Promise<boolean>
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
type Ordering = Extract<SlotAction, Readonly<{ do: 'allocate' | 'readopt' }>> | RestartAction
type Change = Exclude<SlotAction, Readonly<{ do: 'allocate' | 'readopt' | 'forget' }>>
type Changed = Map<SlotId, SlotRecord>

/** Sealing takes some 0.3 ms each: heartbeats must not wait for hundreds of them. */
const ordersPerBreath = 8
/** The next orders are sealed while these are on their way to the disk. */
const recordsPerCommit = 16
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
      const built = build(action, record, group)
      if (!built) return undefined
      const { placement } = built
      const beside = action.do === 'allocate' && action.beside
      changed.set(slot, withPlacement(record, placement, contextOf(slot), { beside }))
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

  const build = (
    action: Ordering,
    record: SlotRecord,
    group: GroupRecord,
  ): BuiltOrder | undefined => {
    if (action.do === 'readopt') return builder.readopt(record, action.from)
    if (action.do === 'restart') return builder.restart(record)
    return builder.allocate(record, { ...action, group })
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
      const fresh: Changed = new Map()
      const built: [SlotId, BuiltOrder][] = []
      const forgotten: GroupId[] = []
      const commits: Promise<void>[] = []
      const flush = (): void => {
        const records = [...fresh.values()]
        const orders = built.splice(0)
        fresh.clear()
        if (records.length === 0) return
        const atMs = nowMs()
        const before = records.map(({ slot }) => book.slots.get(slot))
        const commit = book.commit(records, orders.map(allocationAct)).then(() => {
          for (const record of before) if (record) meter(record, atMs)
          send(orders)
        })
        commit.catch(() => {}) // It is awaited below; until then nobody else would hear of it.
        commits.push(commit)
      }
      const send = (orders: readonly [SlotId, BuiltOrder][]): void => {
        for (const [slot, { placement, signed }] of orders) {
          book.setLease(slot, placement.fence, signed.leaseEndMs)
          renewals.ticketGiven(slot, placement.fence, signed.ticketExpiresMs)
          deliveries.order(slot, placement)
        }
        if (components.stats) components.stats.allocations += orders.length
      }
      book.mark(actions.filter(changesEpoch).map(({ slot }) => slot))
      let ordered = 0
      try {
        for (const action of actions) {
          if (action.do === 'forget') {
            forgotten.push(action.group)
            continue
          }
          const before = changed.get(action.slot)
          if (isOrdering(action)) {
            const made = order(action, changed)
            if (made) built.push([action.slot, made])
            ordered++
          } else change(action, changed)
          const after = changed.get(action.slot)
          if (after && after !== before) fresh.set(action.slot, after)
          if (fresh.size >= recordsPerCommit) flush()
          if (ordered >= ordersPerBreath) {
            ordered = 0
            await breathe()
          }
        }
        flush()
      } finally {
        builder.forget()
        // All of them end before anything is renewed again, also when one fails.
        await Promise.allSettled(commits)
        book.unmark()
      }
      await Promise.all(commits)
      for (const group of forgotten) await forget(group)
      return changed.size > 0
    },
  }
}

function isOrdering(action: SlotAction | RestartAction): action is Ordering {
  return action.do === 'allocate' || action.do === 'readopt' || action.do === 'restart'
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
function changesEpoch(
  action: SlotAction | RestartAction,
): action is Extract<SlotAction, { slot: SlotId }> | RestartAction {
  switch (action.do) {
    case 'allocate':
    case 'readopt':
    case 'restart':
    case 'vacate':
    case 'fail':
    case 'finish':
    case 'outrank':
      return true
    default:
      return false
  }
}
