/**
 * What runs here and what has ended here, in memory: the table that beats, tickets and the guard
 * are read from. It decides nothing.
 */
import { LRUCache } from 'lru-cache'
import type { Hello, InstanceReport } from '../../protocol/control/index.ts'
import { PotluckError } from '../../protocol/errors.ts'
import {
  type BundleId,
  compareFence,
  type Digest,
  type Fence,
  type InstanceId,
  type SlotId,
} from '../../protocol/ids.ts'
import type { Allocation, PeerHint } from '../../protocol/orders/index.ts'
import type { Signed } from '../../protocol/wire/index.ts'
import type { GuardTime } from '../guard/index.ts'
import type { Instance } from './instance.ts'
import type { LeaseTerms } from './lease-terms.ts'

export type DocketEntry = {
  readonly order: Allocation
  readonly signed: Signed
  /** The digest of its manifest. */
  readonly image: Digest
  readonly instance: Instance
  /** Its end is on record: key forgotten, order over. */
  readonly settled: Promise<void>
  ticket: Signed
  readonly lease: LeaseTerms
}

/** Bundles of which holders are remembered; a node fetches a few at a time. */
const bundlesMax = 64

export class Docket {
  readonly #entries = new Map<SlotId, DocketEntry>()
  /** Final reports, until the coordinator revokes the slot or gives it away. */
  readonly #finished = new Map<SlotId, InstanceReport>()
  /** Told after the order, perhaps before its fetching began. */
  readonly #holders = new LRUCache<BundleId, readonly PeerHint[]>({ max: bundlesMax })

  get size(): number {
    return this.#entries.size
  }

  entries(): readonly DocketEntry[] {
    return [...this.#entries.values()]
  }

  get(slot: SlotId): DocketEntry | undefined {
    return this.#entries.get(slot)
  }

  /** Of these slots, those that have one. */
  of(slots: readonly SlotId[]): readonly DocketEntry[] {
    return slots.flatMap((slot) => this.#entries.get(slot) ?? [])
  }

  /** The slot's newest instance; what ended before it is no longer told. */
  begin(entry: DocketEntry): void {
    this.#finished.delete(entry.order.slot)
    this.#entries.set(entry.order.slot, entry)
  }

  /** Keeps its last report. False when the slot has a newer instance by now. */
  finish(entry: DocketEntry): boolean {
    const { slot } = entry.order
    if (this.#entries.get(slot) !== entry) return false
    this.#entries.delete(slot)
    this.#finished.set(slot, entry.instance.report())
    return true
  }

  /** The coordinator has heard the end of everything up to `fence`. */
  forget(slot: SlotId, fence: Fence): void {
    const last = this.#finished.get(slot)
    if (last && compareFence(last, fence) <= 0) this.#finished.delete(slot)
  }

  held(): Hello['held'] {
    return this.entries().map(({ signed, instance }) => ({
      order: signed,
      report: instance.report(),
    }))
  }

  /** Slots, and how long their orders are. */
  orderBytes(): readonly [SlotId, number][] {
    return this.entries().map(({ order, signed }) => [order.slot, signed.payload.length])
  }

  reports(): readonly InstanceReport[] {
    return [...this.entries().map(({ instance }) => instance.report()), ...this.#finished.values()]
  }

  guardTimes(): Map<InstanceId, GuardTime> {
    return new Map(
      this.entries().map(({ order, lease }) => [order.instance, guardTimeOf(lease)] as const),
    )
  }

  /** Whether a slot, or another than this one, runs the image: several may share a bundle. */
  runsImage(image: Digest, but?: SlotId): boolean {
    return this.entries().some((entry) => entry.image === image && entry.order.slot !== but)
  }

  /** @throws {PotluckError} NO_TICKET */
  ticketFor(bundle: BundleId): Signed {
    const entry = this.entries().find(({ order }) => order.bundle === bundle)
    if (!entry) throw new PotluckError('NO_TICKET', `no order for bundle ${bundle} is held`)
    return entry.ticket
  }

  /** Newer hints than those of the order: who fetches the same. */
  learnHolders(bundle: BundleId, hints: readonly PeerHint[]): void {
    this.#holders.set(bundle, hints)
  }

  /** Everybody who was ever named to this node and is not forgotten. */
  hints(): readonly PeerHint[] {
    const ordered = this.entries().flatMap(({ order }) => order.hints)
    return [...ordered, ...[...this.#holders.values()].flat()]
  }

  hintsFor(bundle: BundleId): readonly PeerHint[] {
    const ordered = this.entries().flatMap(({ order }) =>
      order.bundle === bundle ? order.hints : [],
    )
    return [...ordered, ...(this.#holders.get(bundle) ?? [])]
  }
}

/** What the guard is told of a lease. */
export function guardTimeOf({ guardAtMs, leaseEndMs }: LeaseTerms): GuardTime {
  return { stopAtMs: guardAtMs, ...(leaseEndMs === undefined ? {} : { leaseEndMs }) }
}
