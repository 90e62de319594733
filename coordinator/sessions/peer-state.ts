/**
 * What is known of one peer from its streams: the newest picture, replaced as a whole by each hello
 * and beat. It outlives a stream, so that "said goodbye" and "was here" are not forgotten with it.
 */
import type {
  Beat,
  Capacity,
  Fault,
  Hello,
  InstanceReport,
  Link,
  Reach,
} from '../../protocol/control/index.ts'
import {
  type BundleId,
  compareFence,
  type Fence,
  type PeerId,
  type SlotId,
} from '../../protocol/ids.ts'
import { unknownReach } from '../../protocol/nat/index.ts'
import type { Allocation } from '../../protocol/orders/index.ts'
import type { Signed } from '../../protocol/wire/index.ts'
import type { Held, NodeView } from '../slots/index.ts'
import type { KeyPool } from './key-pool.ts'
import { readReach, worthDialling } from './reach.ts'

/** Instances that a peer may show at once, as `BeatSchema` has it. */
const heldMax = 64
/**
 * Slots of which an answer is remembered, the longest unheard going first: many times what an
 * honest node has in a minute, and an end to what a dishonest one can make us keep.
 */
const rememberedMax = 1_024

/** An order of this network's coordinator, of whatever term; undefined: a stranger's. */
export type OpenAllocation = (signed: Signed) => Allocation | undefined

type Refusals = Map<SlotId, { fence: Fence; fault: Fault }>

export class PeerState implements NodeView {
  readonly node: PeerId
  readonly role: Hello['role']
  readonly #banned: (peer: PeerId) => boolean
  readonly #measuredLink: (peer: PeerId) => Link | undefined
  readonly #reliability: (peer: PeerId) => number | undefined
  household = ''
  observedAddr = ''
  addrs: readonly string[] = []
  connected = false
  declare helloMs?: number
  departed = false
  declare departedSlots?: ReadonlySet<SlotId>
  declare capacity?: Capacity
  /** As dial-backs found, by the word of those that all trust. */
  reach: Reach = unknownReach
  bundles: ReadonlySet<BundleId> = new Set()
  /** Those held in part. */
  partial: ReadonlySet<BundleId> = new Set()
  readonly held = new Map<SlotId, Held>()
  readonly acknowledged = new Map<SlotId, Fence>()
  readonly refusals: Refusals = new Map()
  pool: KeyPool | undefined
  /** Boot clock. */
  lastSeenMs = 0

  /**
   * @param measuredLink a node's line as a cache measured it
   * @param reliability how well it stayed
   */
  constructor(
    node: PeerId,
    role: Hello['role'],
    banned: (peer: PeerId) => boolean,
    measuredLink: (peer: PeerId) => Link | undefined = () => undefined,
    reliability: (peer: PeerId) => number | undefined = () => undefined,
  ) {
    this.node = node
    this.role = role
    this.#banned = banned
    this.#measuredLink = measuredLink
    this.#reliability = reliability
  }

  get banned(): boolean {
    return this.#banned(this.node)
  }

  /** Whether it can be asked for anything: here, and not about to leave. */
  get isHere(): boolean {
    return this.connected && !this.departed
  }

  /** The lower of what it says and what a cache saw; its own word alone gets it nothing. */
  get link(): Link | undefined {
    const [told, seen] = [this.capacity?.link, this.#measuredLink(this.node)]
    if (!told || !seen) return undefined
    return {
      upBitsPerS: Math.min(told.upBitsPerS, seen.upBitsPerS),
      downBitsPerS: Math.min(told.downBitsPerS, seen.downBitsPerS),
      measuredMs: seen.measuredMs,
    }
  }

  get reliability(): number | undefined {
    return this.#reliability(this.node)
  }

  get keys(): number {
    return this.pool?.size ?? 0
  }

  /** Starts anew from a hello. Returns how many held orders were not ours. */
  takeHello(hello: Hello, openAllocation: OpenAllocation): number {
    this.held.clear()
    this.acknowledged.clear()
    this.refusals.clear()
    this.departed = false
    delete this.departedSlots
    this.bundles = new Set(hello.bundles)
    this.partial = new Set(hello.partial)
    if (hello.capacity) this.capacity = hello.capacity
    let strangers = 0
    for (const { order, report } of hello.held) {
      const fence = this.#fenceOf(order, report, openAllocation)
      if (!fence) {
        strangers++
        continue
      }
      this.#hold(report, { fence, order, report })
    }
    return strangers
  }

  /** Where it is dialled; `trusts`: whose verdicts on that count. */
  takeWhereabouts(
    { addrs, verdicts }: Pick<Beat, 'addrs' | 'verdicts'>,
    trusts: (by: PeerId) => boolean,
  ): void {
    if (verdicts) this.reach = readReach(verdicts, { peer: this.node, trusts })
    if (addrs) this.addrs = worthDialling(addrs, this.reach)
  }

  /** A goodbye, of these slots or of all; what was given up before stays given up. */
  takeGoodbye(slots?: readonly SlotId[]): void {
    const before = this.departed ? this.departedSlots : new Set<SlotId>()
    this.departed = true
    if (slots && before) this.departedSlots = new Set([...before, ...slots].slice(-rememberedMax))
    else delete this.departedSlots
  }

  takeRefusal(slot: SlotId, fence: Fence, fault: Fault): void {
    remember(this.refusals, slot, { fence, fault })
    // Its goodbye is on the way, or was said on a stream before this one.
    if (fault.code === 'NODE_STOPPING') this.takeGoodbye([slot])
  }

  /** Replaces what is held by what the beat lists. True when anything but counters changed. */
  takeBeat(reports: readonly InstanceReport[]): boolean {
    const before = new Map(this.held)
    this.held.clear()
    let changed = before.size !== reports.length
    for (const report of reports) {
      const old = before.get(report.slot)
      if (this.takeReport(report, old)) changed = true
    }
    return changed
  }

  /** One slot's news; true when its state or epoch changed. */
  takeReport(report: InstanceReport, old = this.held.get(report.slot)): boolean {
    const fence: Fence = { term: report.term, epoch: report.epoch }
    const age = old ? compareFence(fence, old.fence) : 1
    if (old && age < 0 && this.held.has(report.slot)) return false
    // The next beat names those that count.
    if (this.held.size >= heldMax && !this.held.has(report.slot)) return false
    const order = old && age === 0 ? old.order : undefined
    this.#hold(report, { fence, report, ...(order ? { order } : {}) })
    return !old || age !== 0 || old.report.state !== report.state
  }

  #hold({ slot }: InstanceReport, held: Held): void {
    this.held.set(slot, held)
    const known = this.acknowledged.get(slot)
    const isNewer = !known || compareFence(held.fence, known) > 0
    remember(this.acknowledged, slot, isNewer ? held.fence : known)
  }

  #fenceOf(
    order: NonNullable<Held['order']>,
    report: InstanceReport,
    openAllocation: OpenAllocation,
  ): Fence | undefined {
    const allocation = openAllocation(order)
    if (!allocation || allocation.node !== this.node) return undefined
    const { slot, term, epoch } = allocation
    const isReported = slot === report.slot && term === report.term && epoch === report.epoch
    return isReported ? { term, epoch } : undefined
  }
}

/** Puts the slot last, and forgets the first beyond {@link rememberedMax}. */
function remember<T>(all: Map<SlotId, T>, slot: SlotId, value: T): void {
  all.delete(slot)
  all.set(slot, value)
  if (all.size <= rememberedMax) return
  for (const first of all.keys()) {
    all.delete(first)
    return
  }
}
