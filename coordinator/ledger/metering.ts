/**
 * Meters of all epochs that run, from looks to charges. Looks are memory; every ten seconds what
 * they add up to is on disk, and an hour that is over, or an epoch that ended, is booked in the same
 * batch that says so. A crash forgets at most the looks since then, to the tenant's good: a meter
 * on disk goes on from its last look, which counts only if the next comes within a lease.
 */
import { setImmediate as breathe } from 'node:timers/promises'
import type { Clock } from '../../protocol/clock.ts'
import { compareFence, type Fence, type SlotId } from '../../protocol/ids.ts'
import type { Logger } from '../../protocol/log/index.ts'
import { collection, type Store, type StoreOperation } from '../../protocol/store/index.ts'
import type { Placement, PlacementState } from '../slots/index.ts'
import type { Charge, Ledger } from './ledger.ts'
import { hourOf, type Look, type Meter, startMeter, stepMeter } from './meter.ts'
import { type MeterRecord, MeterRecordSchema } from './records.ts'
import { type BillingTerms, chargedFor } from './terms.ts'

/** The part of a placement that a meter needs. */
export type Metered = Pick<Placement, 'fence' | 'billing'>

/** What runs now and is not booked yet. */
export type Accrued = Readonly<{
  terms: BillingTerms
  seconds: number
  micros: bigint
  hourMs: number
}>

export interface Metering {
  /** A beat that renewed the lease, or a report: how the epoch stands at `atMs`. */
  look(slot: SlotId, placement: Metered, state: PlacementState, atMs: number): void
  /** The epoch is given up at `atMs`. */
  end(slot: SlotId, placement: Metered, atMs: number): void
  accrued(organizationId: string): readonly Accrued[]
  /** Makes what is known durable. @throws as `Store.batch` */
  flush(): Promise<void>
  start(): void
  /** The last flush included. */
  stop(): Promise<void>
}

export type MeteringComponents = Readonly<{
  store: Store
  ledger: Pick<Ledger, 'charge' | 'release'>
  /** The slot's newest epoch, as the store has it: a meter of an older one has ended. */
  newestOf: (slot: SlotId) => Fence | undefined
  clock: Pick<Clock, 'sleep'>
  /** Coordinator's time. */
  nowMs: () => number
  logger: Logger
}>

const flushMs = 10_000
/** Meters a batch: the event loop must not stop for thousands. */
const batchMax = 256

type Entry = {
  readonly slot: SlotId
  readonly fence: Fence
  readonly terms: BillingTerms
  meter: Meter
  postedSeconds: number
  ended: boolean
  /** Not as on disk. */
  dirty: boolean
}

/** Takes up the meters that were running when the coordinator was last here. */
export async function openMetering(
  { leaseMs }: Readonly<{ leaseMs: number }>,
  components: MeteringComponents,
): Promise<Metering> {
  const { store, newestOf } = components
  const entries = new Map<string, Entry>()
  const meters = collection(store, 'meters', MeterRecordSchema)
  for await (const [key, record] of meters.entries()) {
    const { slot, fence, terms, seenMs, runs, ranMs, postedSeconds } = record
    const newest = newestOf(slot)
    // Its end was written with the slot; only the meter had not heard of it.
    const ended = newest === undefined || compareFence(newest, fence) !== 0
    const meter: Meter = { seenMs, runs, ranMs, closed: [] }
    entries.set(key, { slot, fence, terms, meter, postedSeconds, ended, dirty: ended })
  }
  return new Meters({ leaseMs, entries }, components)
}

class Meters implements Metering {
  readonly #leaseMs: number
  readonly #entries: Map<string, Entry>
  readonly #components: MeteringComponents
  readonly #records
  readonly #stopped = new AbortController()
  #running: Promise<void> = Promise.resolve()
  #flushing: Promise<void> = Promise.resolve()

  constructor(
    { leaseMs, entries }: Readonly<{ leaseMs: number; entries: Map<string, Entry> }>,
    components: MeteringComponents,
  ) {
    this.#leaseMs = leaseMs
    this.#entries = entries
    this.#components = components
    this.#records = collection(components.store, 'meters', MeterRecordSchema)
  }

  look(slot: SlotId, placement: Metered, state: PlacementState, atMs: number): void {
    const runs = state === 'running'
    const key = meterKey(slot, placement.fence)
    const entry = this.#entries.get(key)
    if (entry) this.#step(entry, { atMs, runs })
    else if (runs && placement.billing) {
      const { fence, billing: terms } = placement
      const meter = startMeter({ atMs, runs })
      const fresh = { postedSeconds: 0, ended: false, dirty: true }
      this.#entries.set(key, { slot, fence, terms, meter, ...fresh })
    }
  }

  end(slot: SlotId, placement: Metered, atMs: number): void {
    const entry = this.#entries.get(meterKey(slot, placement.fence))
    if (!entry) return
    this.#step(entry, { atMs, runs: false })
    entry.ended = true
  }

  accrued(organizationId: string): readonly Accrued[] {
    const found: Accrued[] = []
    for (const { terms, meter, postedSeconds } of this.#entries.values()) {
      if (terms.organizationId !== organizationId) continue
      const seconds = Math.floor(meter.ranMs / 1_000)
      const micros = chargedFor(terms, seconds) - chargedFor(terms, postedSeconds)
      const isAny = seconds > postedSeconds
      const hourMs = hourOf(meter.seenMs)
      if (isAny) found.push({ terms, seconds: seconds - postedSeconds, micros, hourMs })
    }
    return found
  }

  flush(): Promise<void> {
    const done = this.#flushing.then(() => this.#flush())
    this.#flushing = done.catch(() => undefined)
    return done
  }

  start(): void {
    this.#running = this.#run()
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    await this.#running
    await this.flush().catch((error: unknown) => {
      // A store that failed has said so; the rest must still close.
      this.#components.logger.error({ error }, 'the newest seconds could not be written')
    })
  }

  async #run(): Promise<void> {
    const { clock, ledger, logger } = this.#components
    const { signal } = this.#stopped
    while (!signal.aborted) {
      await clock.sleep(flushMs, { signal }).catch(() => undefined)
      if (signal.aborted) return
      try {
        await this.flush()
        const paid = await ledger.release()
        if (paid > 0) logger.info({ accounts: paid }, 'earnings were released')
      } catch (error) {
        // What is not written stays dirty, and the next round writes it.
        logger.error({ error }, 'the ledger could not be written')
      }
    }
  }

  #step(entry: Entry, look: Look): void {
    if (entry.ended) return
    entry.meter = stepMeter(entry.meter, look, this.#leaseMs)
    entry.dirty = true
  }

  async #flush(): Promise<void> {
    const dirty = [...this.#entries].filter(([, entry]) => entry.dirty)
    for (let at = 0; at < dirty.length; at += batchMax) {
      await this.#write(dirty.slice(at, at + batchMax))
      await breathe()
    }
  }

  async #write(group: readonly (readonly [string, Entry])[]): Promise<void> {
    const charges: Charge[] = []
    const operations: StoreOperation[] = []
    const written = group.map(([key, entry]) => {
      const { meter, ended } = entry
      const own = chargesOf(entry)
      charges.push(...own)
      const postedSeconds = own.at(-1)?.toSecond ?? entry.postedSeconds
      operations.push(
        ended
          ? this.#records.deleteOperation(key)
          : this.#records.putOperation(key, recordOf(entry, postedSeconds)),
      )
      entry.dirty = false
      return { key, entry, meter, ended, postedSeconds }
    })
    try {
      await this.#components.ledger.charge(charges, operations)
    } catch (error) {
      for (const { entry } of written) entry.dirty = true
      throw error
    }
    for (const { key, entry, meter, ended, postedSeconds } of written) {
      entry.postedSeconds = postedSeconds
      // Looks that came meanwhile closed hours of their own.
      const closed = entry.meter.closed.filter((hour) => !meter.closed.includes(hour))
      entry.meter = { ...entry.meter, closed }
      if (ended) this.#entries.delete(key)
    }
  }
}

/** The hours that are over; of an ended epoch all that is left. */
function chargesOf({ slot, fence, terms, meter, postedSeconds, ended }: Entry): readonly Charge[] {
  const current = { hourMs: hourOf(meter.seenMs), ranMs: meter.ranMs }
  const charges: Charge[] = []
  let fromSecond = postedSeconds
  for (const { hourMs, ranMs } of ended ? [...meter.closed, current] : meter.closed) {
    const toSecond = Math.floor(ranMs / 1_000)
    if (toSecond <= fromSecond) continue
    charges.push({ slot, fence, terms, fromSecond, toSecond, hourMs })
    fromSecond = toSecond
  }
  return charges
}

function recordOf({ slot, fence, terms, meter }: Entry, postedSeconds: number): MeterRecord {
  const { seenMs, runs, ranMs } = meter
  return { slot, fence: { ...fence }, terms, seenMs, runs, ranMs, postedSeconds }
}

function meterKey(slot: SlotId, { term, epoch }: Fence): string {
  return `${slot}/${term}.${epoch}`
}
