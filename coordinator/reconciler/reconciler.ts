/**
 * The loop that makes observed what is desired: on news (debounced) and each second it reads all
 * there is, plans, and applies the plan. It relies on no event having been seen, and every effect
 * can be repeated: records are durable before anything of them is sent, and what was sent is sent
 * again while the world does not show it. So it may be killed at any point.
 */
import { setImmediate as breathe } from 'node:timers/promises'
import type { Clock } from '../../protocol/clock.ts'
import { type Beat, leaseNumbers, type Renewal } from '../../protocol/control/index.ts'
import { describeError } from '../../protocol/errors.ts'
import {
  type BundleId,
  compareFence,
  type Fence,
  type GroupId,
  type PeerId,
  parseSlotId,
  type SlotId,
} from '../../protocol/ids.ts'
import type { Logger } from '../../protocol/log/index.ts'
import type { Signed } from '../../protocol/wire/index.ts'
import type { Groups } from '../groups/index.ts'
import type { Images } from '../images/index.ts'
import { type OrderSigner, ticketMs } from '../orders/index.ts'
import type { Choice } from '../scheduler/index.ts'
import type { Sessions } from '../sessions/index.ts'
import {
  applyAction,
  emptySlot,
  hasLeft,
  type LeaseNumbers,
  planSlots,
  renewable,
  type SlotAction,
  type SlotRecord,
  withPlacement,
} from '../slots/index.ts'
import type { Holders } from './holders.ts'
import type { BuiltOrder, OrderBuilder } from './order-builder.ts'
import type { Settling } from './settling.ts'
import type { SlotBook } from './slot-book.ts'
import { targetsOf } from './targets.ts'

export interface Reconciler {
  /** Something changed: look soon. */
  kick(): void
  /** The leases that a beat renews. */
  renew(peer: PeerId, beat: Pick<Beat, 'instances'>): readonly Renewal[]
  /** Groups with slots that no node can take now. */
  readonly unplaced: ReadonlyMap<GroupId, Choice>
  readonly settled: boolean
  start(): void
  stop(): Promise<void>
}

export type ReconcilerComponents = Readonly<{
  book: SlotBook
  settling: Settling
  builder: OrderBuilder
  holders: Pick<Holders, 'share'>
  signer: OrderSigner
  sessions: Pick<Sessions, 'nodes' | 'send'>
  images: Pick<Images, 'tend' | 'bundleOf'>
  groups: Pick<Groups, 'all' | 'byId' | 'forgetDeleted'>
  /** Coordinator's time. */
  nowMs: () => number
  wallMs: () => number
  clock: Clock
  logger: Logger
}>

const tickMs = 1_000
/** Many reports come at once; one plan serves them all. */
const debounceMs = 10
/** Plans one after the other while they change records; the rest waits for the next tick. */
const roundsMax = 8
/** Sealing costs milliseconds each: heartbeats must not wait for hundreds of them. */
const ordersPerRound = 32
const ordersPerBreath = 4
/** Longer than a beat: what the next beat shows need not be sent again. */
const resendMs = 6_000

export function createReconciler(
  numbers: LeaseNumbers,
  components: ReconcilerComponents,
): Reconciler {
  return new Loop(numbers, components)
}

class Loop implements Reconciler {
  readonly #numbers: LeaseNumbers
  readonly #parts: ReconcilerComponents
  readonly #stopped = new AbortController()
  readonly #sent = new Map<string, number>()
  readonly #tickets = new Map<SlotId, Readonly<{ fence: Fence; expiresMs: number }>>()
  #unplaced: ReadonlyMap<GroupId, Choice> = new Map()
  #nap = new AbortController()
  #kicked = false
  #running: Promise<void> = Promise.resolve()

  constructor(numbers: LeaseNumbers, parts: ReconcilerComponents) {
    this.#numbers = numbers
    this.#parts = parts
  }

  get unplaced(): ReadonlyMap<GroupId, Choice> {
    return this.#unplaced
  }

  get settled(): boolean {
    return this.#parts.settling.settled
  }

  kick(): void {
    this.#kicked = true
    this.#nap.abort()
  }

  start(): void {
    this.#running = this.#run()
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    this.#nap.abort()
    await this.#running
  }

  renew(peer: PeerId, { instances }: Pick<Beat, 'instances'>): readonly Renewal[] {
    const { book, sessions, signer, nowMs } = this.#parts
    const now = nowMs()
    const leaseEndMs = now + this.#numbers.leaseMs
    const renewals: Renewal[] = []
    const node = sessions.nodes.get(peer)
    for (const { slot, placement } of renewable(peer, instances, book)) {
      if (node && hasLeft(node, slot)) continue
      const { fence, bundle } = placement
      book.setLease(slot, fence, leaseEndMs)
      const known = this.#tickets.get(slot)
      const isFresh =
        known !== undefined &&
        compareFence(known.fence, fence) === 0 &&
        known.expiresMs - now > ticketMs / 2 &&
        // What the node had before its hello may be lost to it.
        known.expiresMs - ticketMs > (node?.helloMs ?? 0)
      const renewal: Renewal = { slot, ...fence, leaseEndMs }
      if (!isFresh) {
        const { ticket, expiresMs } = signer.ticket(peer, bundle)
        this.#tickets.set(slot, { fence, expiresMs })
        renewal.ticket = ticket
      }
      renewals.push(renewal)
    }
    return renewals
  }

  async #run(): Promise<void> {
    const { clock, logger } = this.#parts
    const { signal } = this.#stopped
    while (!signal.aborted) {
      this.#kicked = false
      try {
        await this.#tick()
      } catch (error) {
        // The next tick starts from what is true then; a disk that fails says so at each.
        logger.error({ error }, 'a reconcile round failed')
      }
      this.#nap = new AbortController()
      const sleep = (ms: number, nap: AbortSignal): Promise<void> =>
        clock.sleep(ms, { signal: AbortSignal.any([signal, nap]) }).catch(() => undefined)
      if (!this.#kicked) await sleep(tickMs, this.#nap.signal)
      if (this.#kicked) await sleep(debounceMs, signal)
    }
  }

  async #tick(): Promise<void> {
    const { groups, images, book, settling, sessions, nowMs } = this.#parts
    settling.update(nowMs(), (node) => sessions.nodes.get(node)?.connected ?? false)
    images.tend(groups.all(), bundlesIn(book.slots.values()))
    for (let round = 0; round < roundsMax && !this.#stopped.signal.aborted; round++) {
      const plan = planSlots({
        nowMs: nowMs(),
        settled: settling.settled,
        groups: targetsOf(groups.all(), (group) => images.bundleOf(group)),
        slots: book.slots,
        nodes: sessions.nodes,
        leaseEndMs: (slot) => this.#leaseEnd(slot),
        isRetired: (group) => book.isRetired(group),
        numbers: this.#numbers,
      })
      this.#unplaced = plan.unplaced
      if (!(await this.#apply(plan.actions))) break
    }
    this.#parts.holders.share()
    this.#forgetSent()
  }

  #leaseEnd(slot: SlotId): number {
    const { book, settling } = this.#parts
    const fence = book.slots.get(slot)?.placement?.fence
    const known = fence && book.leaseOf(slot, fence)
    return known ?? settling.endMs + this.#numbers.leaseMs
  }

  /** True when records changed, so that another plan may find more to do. */
  async #apply(actions: readonly SlotAction[]): Promise<boolean> {
    const { book } = this.#parts
    const changed = new Map<SlotId, SlotRecord>()
    const built: [SlotId, BuiltOrder][] = []
    const forgotten: GroupId[] = []
    book.mark(actions.filter(changesEpoch).map(({ slot }) => slot))
    try {
      for (const action of actions) {
        if (action.do === 'forget') forgotten.push(action.group)
        else if (action.do === 'allocate' || action.do === 'readopt') {
          if (built.length >= ordersPerRound) continue
          const order = this.#build(action, changed)
          if (order) built.push([action.slot, order])
          if (built.length % ordersPerBreath === 0) await breathe()
        } else this.#applyOne(action, changed)
      }
      if (changed.size > 0) await book.commit([...changed.values()])
    } finally {
      book.unmark()
    }
    for (const [slot, { placement, signed }] of built) {
      book.setLease(slot, placement.fence, signed.leaseEndMs)
      this.#tickets.set(slot, { fence: placement.fence, expiresMs: signed.ticketExpiresMs })
      this.#sendOnce('order', slot, placement)
    }
    for (const group of forgotten) await this.#forget(group)
    return changed.size > 0
  }

  #applyOne(
    action: Exclude<SlotAction, Readonly<{ do: 'allocate' | 'readopt' | 'forget' }>>,
    changed: Map<SlotId, SlotRecord>,
  ): void {
    const { slot } = action
    const record = this.#record(slot, changed)
    if (action.do === 'redeliver') {
      if (record.placement) this.#sendOnce('order', slot, record.placement)
      return
    }
    if (action.do === 'revoke') {
      this.#sendOnce('revoke', slot, action, action.reason)
      return
    }
    const next = applyAction(record, action, this.#context(slot))
    if (next === record) return
    changed.set(slot, next)
    if (action.do === 'observe') return
    const { logger } = this.#parts
    const { node, fence } = subjectOf(action, record)
    const reason = 'reason' in action ? action.reason : undefined
    const fault = 'fault' in action ? action.fault : undefined
    logger.info({ slot, node, ...fence, did: action.do, reason, fault }, 'a slot changed')
  }

  #build(
    action: Extract<SlotAction, Readonly<{ do: 'allocate' | 'readopt' }>>,
    changed: Map<SlotId, SlotRecord>,
  ): BuiltOrder | undefined {
    const { builder, groups, logger, nowMs } = this.#parts
    const { slot } = action
    const record = this.#record(slot, changed)
    const group = groups.byId(parseSlotId(slot).group)
    if (!group) return undefined
    try {
      const built =
        action.do === 'readopt'
          ? builder.readopt(record, action.from)
          : builder.allocate(record, { ...action, group })
      if (!built) return undefined
      const { placement } = built
      changed.set(slot, withPlacement(record, placement, this.#context(slot)))
      const { node, instance, fence } = placement
      logger.info({ slot, node, instance, ...fence, did: action.do }, 'a slot is ordered')
      return built
    } catch (error) {
      logger.error({ slot, error }, 'an order could not be made')
      const fault = { code: 'ORDER_NOT_MADE', message: describeError(error).slice(0, 2_000) }
      const notBeforeMs = nowMs() + 30_000
      changed.set(slot, { ...record, fault, failures: record.failures + 1, notBeforeMs })
      return undefined
    }
  }

  #record(slot: SlotId, changed: ReadonlyMap<SlotId, SlotRecord>): SlotRecord {
    return changed.get(slot) ?? this.#parts.book.slots.get(slot) ?? emptySlot(slot)
  }

  #context(slot: SlotId) {
    const { nowMs, wallMs, groups } = this.#parts
    const version = groups.byId(parseSlotId(slot).group)?.version ?? 0
    return { nowMs: nowMs(), wallMs: wallMs(), leaseEndMs: this.#leaseEnd(slot), version }
  }

  /** Sends unless the same was sent a moment ago on the same stream. */
  #sendOnce(
    kind: 'order' | 'revoke',
    slot: SlotId,
    at: Readonly<{ node: PeerId; fence: Fence; order?: Signed }>,
    reason = '',
  ): void {
    const { sessions, signer, nowMs } = this.#parts
    const { node, fence, order } = at
    const key = `${kind} ${node} ${slot} ${fence.term}.${fence.epoch}`
    const now = nowMs()
    if (now - (this.#sent.get(key) ?? Number.NEGATIVE_INFINITY) < resendMs) return
    const isSent =
      kind === 'order'
        ? order !== undefined && sessions.send(node, { type: 'order', order })
        : sessions.send(node, {
            type: 'revoke',
            revocation: signer.revocation({ slot, fence, node, reason }),
          })
    if (isSent) this.#sent.set(key, now)
  }

  #forgetSent(): void {
    const beforeMs = this.#parts.nowMs() - resendMs
    for (const [key, sentMs] of this.#sent) if (sentMs < beforeMs) this.#sent.delete(key)
  }

  async #forget(group: GroupId): Promise<void> {
    const { book, groups, wallMs, logger } = this.#parts
    await book.retire(group, wallMs())
    await groups.forgetDeleted(group)
    logger.info({ group }, 'a deleted group is gone')
  }
}

/** Which epoch, on which node, an action is about; for the log. */
function subjectOf(
  action: Exclude<SlotAction, Readonly<{ do: 'allocate' | 'readopt' | 'forget' }>>,
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

function bundlesIn(slots: Iterable<SlotRecord>): ReadonlySet<BundleId> {
  const bundles = new Set<BundleId>()
  for (const { placement, leaving } of slots) {
    if (placement) bundles.add(placement.bundle)
    for (const { bundle } of leaving) bundles.add(bundle)
  }
  return bundles
}

/** The lease numbers of production; tests and the simulator pass shorter ones. */
export const defaultLeaseNumbers: LeaseNumbers = {
  leaseMs: leaseNumbers.leaseMs,
  skewMs: 2_000,
  guardMs: 60_000,
}
