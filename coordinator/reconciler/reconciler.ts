/**
 * The loop that makes observed what is desired: on news (debounced) and each second it reads all
 * there is, plans, and applies the plan. It relies on no event having been seen, and every effect
 * can be repeated: records are durable before anything of them is sent, and what was sent is sent
 * again while the world does not show it. So it may be killed at any point.
 */
import type { Clock } from '../../protocol/clock.ts'
import { type Beat, leaseNumbers, type Renewal } from '../../protocol/control/index.ts'
import { PotluckError } from '../../protocol/errors.ts'
import {
  type GroupId,
  type InstanceId,
  type PeerId,
  parseSlotId,
  type SlotId,
} from '../../protocol/ids.ts'
import type { Logger } from '../../protocol/log/index.ts'
import { newerVersionReason } from '../../protocol/orders/index.ts'
import type { AuditRecorder } from '../audit/index.ts'
import type { Groups } from '../groups/index.ts'
import type { Images } from '../images/index.ts'
import type { Metering } from '../ledger/index.ts'
import type { OrderSigner } from '../orders/index.ts'
import type { Sessions } from '../sessions/index.ts'
import type { LeaseNumbers, SlotRecord, SlotsInput } from '../slots/index.ts'
import type { BrakeWatch } from './brake-watch.ts'
import { createDeliveries, type Deliveries } from './deliveries.ts'
import { explainGroup, type GroupExplanation } from './explain-group.ts'
import type { Holders } from './holders.ts'
import {
  createInstanceRequests,
  type InstanceRequest,
  type InstanceRequests,
} from './instance-requests.ts'
import { createLeaseRenewals, type LeaseRenewals } from './lease-renewals.ts'
import type { OrderBuilder } from './order-builder.ts'
import { createPlanApplier, type PlanApplier } from './plan-applier.ts'
import { Planner } from './planner.ts'
import type { Settling } from './settling.ts'
import type { SlotBook } from './slot-book.ts'
import { createTargets, type Targets } from './targets.ts'

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
  /** There is news of the node: look at it soon, and at what has to do with it. */
  touchNode(node: PeerId): void
  touchGroup(group: GroupId): void
  /** The leases that a beat renews. */
  renew(peer: PeerId, beat: Pick<Beat, 'instances'>): readonly Renewal[]
  /**
   * What a tenant asks of one instance; resolves when the record of it is durable.
   * @throws {InstanceGoneError} @throws {InstanceUnreachableError}
   */
  ask(instance: InstanceId, request: InstanceRequest): Promise<void>
  /** Where the group's next replica would go now, or why nowhere; undefined: no such group. */
  explain(group: GroupId): GroupExplanation | undefined
  /** How long slots of the group have waited for room; undefined: none waits. */
  waitedMs(group: GroupId): number | undefined
  readonly settled: boolean
  /** The brake is on: nothing silent is replaced. */
  readonly holding: boolean
  readonly stats: Readonly<ReconcilerStats>
  start(): void
  stop(): Promise<void>
}

export type ReconcilerComponents = Readonly<{
  book: SlotBook
  settling: Settling
  brake: Pick<BrakeWatch, 'holding' | 'update'>
  /** False: this coordinator was deposed, or its store has gone back. */
  mayOrder: () => boolean
  builder: OrderBuilder
  holders: Pick<Holders, 'share' | 'touch' | 'add'>
  signer: OrderSigner
  sessions: Pick<Sessions, 'nodes' | 'send'>
  images: Pick<Images, 'tend' | 'bundleOf'>
  groups: Pick<Groups, 'all' | 'byId' | 'forgetDeleted'>
  /** Whether a security review keeps the group from new instances. */
  isHeld: (group: GroupId) => boolean
  /** Absent: nothing is recorded, as in tests. */
  audit?: AuditRecorder
  /** Absent: nothing is charged, as in tests. */
  metering?: Pick<Metering, 'look' | 'end'>
  /** Coordinator's time. */
  nowMs: () => number
  wallMs: () => number
  clock: Clock
  logger: Logger
  preemption?: SlotsInput['preemption']
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
  readonly #requests: InstanceRequests
  readonly stats: ReconcilerStats = {
    ...{ passes: 0, passMs: 0, lastPassMs: 0 },
    ...{ allocations: 0, revocations: 0, renewals: 0 },
  }
  readonly #stopped = new AbortController()
  readonly #planner: Planner
  readonly #targets: Targets
  #tickedMs = Number.NEGATIVE_INFINITY
  #nap = new AbortController()
  #kicked = false
  #running: Promise<void> = Promise.resolve()

  constructor(numbers: LeaseNumbers, parts: ReconcilerComponents) {
    this.#numbers = numbers
    this.#parts = parts
    const { book, groups, images, sessions, isHeld } = parts
    this.#targets = createTargets({
      ...{ groups, isHeld },
      bundleOf: (group) => images.bundleOf(group),
    })
    this.#planner = new Planner({
      ...{ nodes: sessions.nodes, targets: this.#targets },
      recordsOf: (group) => book.of(group),
      sizeOf: (group) => book.sizeOf(group),
      recordedGroups: () => book.groups(),
      recordsOn: (node) => book.on(node),
    })
    book.onChange((next, before) => {
      const record = next ?? before
      if (record) this.#planner.touchRecord(record, before)
      const [now, was] = [next?.placement, before?.placement]
      if (now?.node === was?.node && now?.bundle === was?.bundle) return
      if (now) parts.holders.add(now.node, now.bundle)
      if (was) parts.holders.touch(was.node)
    })
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
    this.#requests = createInstanceRequests({
      book: parts.book,
      contextOf: ({ slot }) => ({
        ...{ nowMs: parts.nowMs(), wallMs: parts.wallMs(), leaseEndMs: this.#leaseEnd(slot) },
        version: parts.groups.byId(parseSlotId(slot).group)?.version ?? 0,
      }),
      order: (record, what) => this.#order(record, what),
      kick: () => this.kick(),
    })
  }

  waitedMs(group: GroupId): number | undefined {
    const sinceMs = this.#planner.waitingSinceMs.get(group)
    return sinceMs === undefined ? undefined : this.#parts.nowMs() - sinceMs
  }

  explain(group: GroupId): GroupExplanation | undefined {
    const target = this.#targets.get(group)
    const { book, nowMs } = this.#parts
    const { fleet } = this.#planner
    return target && explainGroup(target, book.of(group), { fleet, nowMs: nowMs() })
  }

  get settled(): boolean {
    return this.#parts.settling.settled
  }

  get holding(): boolean {
    return this.#parts.brake.holding
  }

  kick(): void {
    this.#planner.touchImageless()
    this.#kicked = true
    this.#nap.abort()
  }

  touchNode(node: PeerId): void {
    this.#planner.touchNode(node)
    this.#parts.holders.touch(node)
    this.kick()
  }

  touchGroup(group: GroupId): void {
    this.#planner.touchGroup(group)
    this.kick()
  }

  renew(peer: PeerId, beat: Pick<Beat, 'instances'>): readonly Renewal[] {
    const renewed = this.#renewals.renew(peer, beat)
    this.stats.renewals += renewed.length
    return renewed
  }

  ask(instance: InstanceId, request: InstanceRequest): Promise<void> {
    return this.#requests.ask(instance, request)
  }

  start(): void {
    this.#running = this.#run()
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    this.#nap.abort()
    await this.#running
    this.#requests.close(new PotluckError('STOPPING', 'the coordinator is about to stop'))
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
        this.#planner.touchAll()
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
    const { book, settling, brake, sessions, nowMs } = this.#parts
    settling.update(nowMs(), (node) => sessions.nodes.get(node)?.connected ?? false)
    brake.update()
    const isDue = nowMs() - this.#tickedMs >= tickMs
    if (isDue) {
      this.#tickedMs = nowMs()
      this.#planner.tick(nowMs())
    }
    this.#tendImages()
    if (!this.#parts.mayOrder()) return
    await this.#requests.carryOut()
    for (let round = 0; round < roundsMax && !this.#stopped.signal.aborted; round++) {
      const plan = this.#planner.plan({
        nowMs: nowMs(),
        settled: settling.settled && !brake.holding,
        slots: book.slots,
        leaseEndMs: (slot) => this.#leaseEnd(slot),
        isRetired: (group) => book.isRetired(group),
        numbers: this.#numbers,
        ...(this.#parts.preemption ? { preemption: this.#parts.preemption } : {}),
      })
      const changed = await this.#applier.apply(plan.actions)
      // What could not be carried out now (no key left, no bundle) waits for the next second.
      if (!this.#planner.hasNews || (!changed && plan.unfinished.size > 0)) break
      if (round === roundsMax - 1) this.#kicked = true
    }
    if (isDue) {
      this.#parts.holders.share()
      this.#deliveries.forget()
    }
  }

  #tendImages(): void {
    const { groups, images, book } = this.#parts
    images.tend(groups.all(), new Set(book.bundles.keys()))
  }

  async #order({ slot, placement }: SlotRecord, what: 'recreate' | 'restart'): Promise<void> {
    if (!placement || !this.#parts.sessions.nodes.get(placement.node)?.connected) return
    const { node, resources, version } = placement
    const isNewest = this.#parts.groups.byId(parseSlotId(slot).group)?.version === version
    if (what === 'restart') await this.#applier.apply([{ do: 'restart', slot }])
    else if (isNewest) {
      const { gpuUuids } = resources
      await this.#applier.apply([{ do: 'allocate', slot, node, gpuUuids }])
    } else {
      // The newest version may need more than its node has: that is for the plan to say.
      const reason = newerVersionReason
      await this.#applier.apply([{ do: 'vacate', slot, why: 'revoked', reason }])
    }
  }

  /** A lease that is not known was given before the start: it ends when those have all run out. */
  #leaseEnd(slot: SlotId): number {
    const { book, settling } = this.#parts
    const fence = book.slots.get(slot)?.placement?.fence
    const known = fence && book.leaseOf(slot, fence)
    return known ?? settling.endMs + this.#numbers.leaseMs
  }
}

/** The lease numbers of production; tests and the simulator pass shorter ones. */
export const defaultLeaseNumbers: LeaseNumbers = {
  leaseMs: leaseNumbers.leaseMs,
  skewMs: 2_000,
  guardMs: 60_000,
}
