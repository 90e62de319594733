/**
 * The loop that makes observed what is desired: on news (debounced) and each second it reads all
 * there is, plans, and applies the plan. It relies on no event having been seen, and every effect
 * can be repeated: records are durable before anything of them is sent, and what was sent is sent
 * again while the world does not show it. So it may be killed at any point.
 */
import type { Clock } from '../../protocol/clock.ts'
import { type Beat, leaseNumbers, type Renewal } from '../../protocol/control/index.ts'
import type { BundleId, GroupId, PeerId, SlotId } from '../../protocol/ids.ts'
import type { Logger } from '../../protocol/log/index.ts'
import type { AuditRecorder } from '../audit/index.ts'
import type { Groups } from '../groups/index.ts'
import type { Images } from '../images/index.ts'
import type { Metering } from '../ledger/index.ts'
import type { OrderSigner } from '../orders/index.ts'
import type { Choice } from '../scheduler/index.ts'
import type { Sessions } from '../sessions/index.ts'
import type { LeaseNumbers, SlotRecord } from '../slots/index.ts'
import { createDeliveries, type Deliveries } from './deliveries.ts'
import type { Holders } from './holders.ts'
import { createLeaseRenewals, type LeaseRenewals } from './lease-renewals.ts'
import type { OrderBuilder } from './order-builder.ts'
import { planSlots } from './plan.ts'
import { createPlanApplier, type PlanApplier } from './plan-applier.ts'
import type { Settling } from './settling.ts'
import type { SlotBook } from './slot-book.ts'
import { targetsOf } from './targets.ts'

/** Counts since the start. */
export type ReconcilerStats = {
  passes: number
  /** Of all passes together, and of the newest. */
  passMs: number
  lastPassMs: number
  allocations: number
  revocations: number
  renewals: number
}

export interface Reconciler {
  /** Something changed: look soon. */
  kick(): void
  /** The leases that a beat renews. */
  renew(peer: PeerId, beat: Pick<Beat, 'instances'>): readonly Renewal[]
  /** Groups with slots that no node can take now. */
  readonly unplaced: ReadonlyMap<GroupId, Choice>
  readonly settled: boolean
  readonly stats: Readonly<ReconcilerStats>
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
  /** Absent: nothing is recorded, as in tests. */
  audit?: AuditRecorder
  /** Absent: nothing is charged, as in tests. */
  metering?: Pick<Metering, 'look' | 'end'>
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

export function createReconciler(
  numbers: LeaseNumbers,
  components: ReconcilerComponents,
): Reconciler {
  return new Loop(numbers, components)
}

class Loop implements Reconciler {
  readonly #numbers: LeaseNumbers
  readonly #parts: ReconcilerComponents
  readonly #renewals: LeaseRenewals
  readonly #deliveries: Deliveries
  readonly #applier: PlanApplier
  readonly stats: ReconcilerStats = {
    ...{ passes: 0, passMs: 0, lastPassMs: 0 },
    ...{ allocations: 0, revocations: 0, renewals: 0 },
  }
  readonly #stopped = new AbortController()
  #unplaced: ReadonlyMap<GroupId, Choice> = new Map()
  #nap = new AbortController()
  #kicked = false
  #running: Promise<void> = Promise.resolve()

  constructor(numbers: LeaseNumbers, parts: ReconcilerComponents) {
    this.#numbers = numbers
    this.#parts = parts
    this.#renewals = createLeaseRenewals(numbers, parts)
    const { stats } = this
    this.#deliveries = createDeliveries({ ...parts, stats })
    this.#applier = createPlanApplier({
      ...parts,
      stats,
      deliveries: this.#deliveries,
      renewals: this.#renewals,
      leaseEndMs: (slot) => this.#leaseEnd(slot),
    })
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

  renew(peer: PeerId, beat: Pick<Beat, 'instances'>): readonly Renewal[] {
    const renewed = this.#renewals.renew(peer, beat)
    this.stats.renewals += renewed.length
    return renewed
  }

  start(): void {
    this.#running = this.#run()
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    this.#nap.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    const { clock, logger } = this.#parts
    const { signal } = this.#stopped
    while (!signal.aborted) {
      this.#kicked = false
      // Told, never acted upon; the boot clock ticks each 10 ms only.
      const startMs = performance.now()
      try {
        await this.#tick()
      } catch (error) {
        // The next tick starts from what is true then; a disk that fails says so at each.
        logger.error({ error }, 'a reconcile round failed')
      }
      this.stats.passes += 1
      this.stats.lastPassMs = performance.now() - startMs
      this.stats.passMs += this.stats.lastPassMs
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
      if (!(await this.#applier.apply(plan.actions))) break
    }
    this.#parts.holders.share()
    this.#deliveries.forget()
  }

  /** A lease that is not known was given before the start: it ends when those have all run out. */
  #leaseEnd(slot: SlotId): number {
    const { book, settling } = this.#parts
    const fence = book.slots.get(slot)?.placement?.fence
    const known = fence && book.leaseOf(slot, fence)
    return known ?? settling.endMs + this.#numbers.leaseMs
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
