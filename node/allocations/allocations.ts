/**
 * All that this node runs, and why it may: takes signed orders, keeps each instance's deadline,
 * tells the guard, ends what is revoked or has lapsed. The one owner of instances. Level-triggered:
 * `reports` is the whole truth at any moment, and start-up is recovery.
 */
import type { Clock } from '../../protocol/clock.ts'
import type {
  CoordinatorTime,
  Fault,
  InstanceReport,
  OrderAnswer,
  Renewal,
} from '../../protocol/control/index.ts'
import { describeError, errorCode, PotluckError } from '../../protocol/errors.ts'
import { compareFence, type InstanceId, type PeerId, type SlotId } from '../../protocol/ids.ts'
import type { Logger } from '../../protocol/log/index.ts'
import {
  type Allocation,
  type AllocationSecrets,
  allocationCodec,
  allocationSecretsCodec,
  judgeAllocation,
  judgeRevocation,
  revocationCodec,
  type TermKeeper,
} from '../../protocol/orders/index.ts'
import type { KeyRing } from '../../protocol/sealing/index.ts'
import type { Signed } from '../../protocol/wire/index.ts'
import type { Engine } from '../engine/engine.ts'
import type { Guard, GuardTime } from '../guard/index.ts'
import type { LeaseWatch } from '../leases/index.ts'
import { admit } from './admission.ts'
import { Docket, type DocketEntry } from './docket.ts'
import type { ImageFetcher } from './image-fetcher.ts'
import { startInstance } from './instance.ts'
import { createLeaseKeeper } from './lease-keeper.ts'
import { type LeaseTerms, rememberedTerms, termsOf } from './lease-terms.ts'
import { createReaper } from './reap.ts'
import { recordEnd } from './record-end.ts'
import { orderHashOf, type SlotBook } from './slot-book.ts'
import { createSlotTurns } from './slot-turns.ts'

export type AllocationsInit = Readonly<{
  node: PeerId
  /** How many orders the chef allows at once. */
  allocationsMax: number
  /** From the guard of the daemon before this one; see `rememberedGuard`. */
  remembered: ReadonlyMap<InstanceId, GuardTime>
  onReport: (report: InstanceReport) => void
}>

export type AllocationsComponents = Readonly<{
  keeper: TermKeeper
  time: CoordinatorTime
  book: SlotBook
  keys: KeyRing
  engine: Engine
  images: ImageFetcher
  guard: Guard
  leases: Pick<LeaseWatch, 'judge' | 'otherHouseholds'>
  clock: Clock
  logger: Logger
}>

export interface Allocations {
  /** Adopts what may still run, removes what may not. Once, before anything else. */
  recover(options: { readonly signal: AbortSignal }): Promise<void>
  offer(order: Signed): Promise<OrderAnswer | undefined>
  revoke(revocation: Signed): Promise<void>
  /** Moves deadlines on; `time` has taken the answer's time before. */
  renew(renewals: readonly Renewal[]): Promise<void>
  /** Ends what has lapsed. Call it each second. */
  tick(): void
  /** What runs here and what ended: for hello, beats and tickets. */
  readonly docket: Pick<
    Docket,
    'held' | 'reports' | 'ticketFor' | 'hints' | 'hintsFor' | 'learnHolders' | 'entries'
  >
  /** Keys that orders here are sealed to, those being taken included: not to be forgotten. */
  keysInUse(): readonly Uint8Array[]
  /** Removes what an engine made after it was told not to. Call it now and then. */
  sweep(options: { readonly signal: AbortSignal }): Promise<void>
  /** Ends the slots' instances at once, without grace, and removes what they left. */
  stopNow(slots: readonly SlotId[], reason: Fault): Promise<void>
  /** Takes no more orders, ends all, and removes what they left. */
  stopAll(reason: Fault, graceMs: number): Promise<void>
}

type Beginning = Readonly<{
  signed: Signed
  order: Allocation
  secrets: AllocationSecrets
  lease: LeaseTerms
  /** Taken now, not found after a crash: what it asks for once is still to be done. */
  isNew: boolean
}>

/** Holds nothing until `recover`. */
export function createAllocations(
  init: AllocationsInit,
  components: AllocationsComponents,
): Allocations {
  const { node, allocationsMax, remembered, onReport } = init
  const { keeper, time, book, keys, engine, images, guard, leases, clock, logger } = components
  const docket = new Docket()
  const turns = createSlotTurns()
  /** Slots whose order is being taken: they count as running already. */
  const taking = new Map<SlotId, number>()
  const isTaking = (): boolean => taking.size > 0
  const reaper = createReaper({ docket, isTaking }, { engine, clock, logger })
  let isLeaving = false

  const leaseKeeper = createLeaseKeeper({
    ...{ docket, time, leases, guard, clock, logger },
    end: (entry, reason) => end(entry, reason, 0),
  })
  const { tellGuard } = leaseKeeper

  const begin = async ({ signed, order, secrets, lease, isNew }: Beginning): Promise<void> => {
    const image = secrets.manifestDigest
    const prior = docket.get(order.slot)
    // Held over the change of hands: between two epochs it must not be evicted either.
    const held = images.transfer(order.bundle)
    if (prior?.order.instance === order.instance) await prior.instance.handOver()
    const instance = startInstance(
      {
        order,
        secrets,
        node,
        restartsFirst: isNew && order.restartNow === true,
        keepsImage: (end) => reaper.keepsImage(order.slot, image, end),
        onChange: onReport,
      },
      { engine, images, clock, logger },
    )
    const entry: DocketEntry = {
      order,
      signed,
      image,
      instance,
      settled: instance.ended
        .then(() => recordEnd(entry, { docket, book, keys, keysInUse, tellGuard, clock, logger }))
        .catch((error: unknown) => logger.error({ slot: order.slot, error }, 'an instance broke')),
      ticket: order.ticket,
      lease,
    }
    docket.begin(entry)
    await held.release()
  }

  const keysInUse = (): readonly Uint8Array[] =>
    book.live().map(({ order }) => allocationCodec.decode(order.payload).sealed.recipientKey)

  const take = async (signed: Signed, order: Allocation): Promise<void> => {
    if (isLeaving) throw new PotluckError('NODE_STOPPING', 'this node is about to stop')
    const nowMs = time.nowMs()
    if (nowMs === undefined) {
      throw new PotluckError('TIME_UNKNOWN', "the coordinator's time is not known here yet")
    }
    const memory = book.memory(order.slot)
    const orderHash = orderHashOf(signed)
    if (judgeAllocation(order, { self: node, nowMs, memory, orderHash }) === 'redelivered') return
    admit(order, signed, [...docket.orderBytes(), ...taking], allocationsMax)
    taking.set(order.slot, signed.payload.length)
    try {
      await start(signed, order)
    } finally {
      taking.delete(order.slot)
    }
  }

  const start = async (signed: Signed, order: Allocation): Promise<void> => {
    // Before anything is on record: what cannot be opened is not taken.
    const secrets = await unseal(keys, order)
    const lease = termsOf(order, { time, leases })
    await book.take(order.slot, { term: order.term, epoch: order.epoch }, signed)
    const prior = docket.get(order.slot)
    if (prior && prior.order.instance !== order.instance) {
      await end(prior, { code: 'SUPERSEDED', message: 'a newer epoch was ordered' }, 0)
    }
    const begun = { signed, order, secrets, lease, isNew: true }
    await leaseKeeper.during(order, lease, () => begin(begun))
  }

  const adopt = async (signed: Signed): Promise<void> => {
    const order = keeper.open('allocation', signed, allocationCodec)
    const lease = rememberedTerms(remembered.get(order.instance))
    if (lease.stopAtMs <= clock.nowMs()) {
      throw new PotluckError('LEASE_LAPSED', 'the lease lapsed while the daemon was away')
    }
    await begin({ signed, order, secrets: await unseal(keys, order), lease, isNew: false })
  }

  return {
    async recover({ signal }) {
      for (const { slot, fence, order } of book.live()) {
        try {
          await adopt(order)
        } catch (error) {
          logger.info({ slot, error }, 'an order of before is over')
          await book.end(slot, fence)
        }
      }
      const kept = docket.entries().map(({ order }) => order)
      await keys.forgetAllBut(kept.map((order) => order.sealed.recipientKey))
      await tellGuard()
      await reaper.sweep({ signal })
    },
    async offer(signed) {
      let order: Allocation
      try {
        order = keeper.open('allocation', signed, allocationCodec)
      } catch (error) {
        logger.warn({ error }, 'an order was refused')
        return undefined // what is not genuine gets no answer
      }
      try {
        await turns.take(order.slot, () => take(signed, order))
        return answerTo(order)
      } catch (error) {
        logger.warn({ slot: order.slot, epoch: order.epoch, error }, 'an order was refused')
        return answerTo(order, error)
      }
    },
    async revoke(signed) {
      const revocation = keeper.open('revocation', signed, revocationCodec)
      const { slot, reason, graceMs } = revocation
      await turns.free(slot) // an order that is being taken comes before it
      judgeRevocation(revocation, { self: node, memory: book.memory(slot) })
      const entry = docket.get(slot)
      if (entry && compareFence(entry.order, revocation) <= 0) {
        await end(entry, { code: 'REVOKED', message: reason }, graceMs)
      }
      docket.forget(slot, revocation)
      const memory = book.memory(slot)
      if (docket.get(slot) || (memory && compareFence(memory.fence, revocation) > 0)) return
      await book.end(slot, { term: revocation.term, epoch: revocation.epoch })
    },
    renew: (renewals) => leaseKeeper.renew(renewals),
    tick() {
      leaseKeeper.tick()
      reaper.tick()
    },
    docket,
    keysInUse,
    async sweep(options) {
      if (!isLeaving) await reaper.sweep(options)
    },
    stopNow: (slots, reason) => endAll(docket.of(slots), reason, 0),
    async stopAll(reason, graceMs) {
      isLeaving = true
      await turns.allFree()
      await endAll(docket.entries(), reason, graceMs)
      await reaper.flush()
    },
  }
}

/** @throws {UnsealError} the key is not, or no longer, known here. */
async function unseal(keys: KeyRing, { sealed }: Allocation): Promise<AllocationSecrets> {
  return allocationSecretsCodec.decode(await keys.open(sealed))
}

function answerTo({ slot, term, epoch }: Allocation, error?: unknown): OrderAnswer {
  if (error === undefined) return { type: 'order-answer', slot, term, epoch }
  const code = errorCode(error) ?? 'ORDER_FAILED'
  const refusal = { code, message: describeError(error).slice(0, 2_000) }
  return { type: 'order-answer', slot, term, epoch, refusal }
}

async function endAll(
  entries: readonly DocketEntry[],
  reason: Fault,
  graceMs: number,
): Promise<void> {
  await Promise.all(entries.map((entry) => end(entry, reason, graceMs)))
}

/** Stops an instance and waits until its end is on record. */
async function end(entry: DocketEntry, reason: Fault, graceMs: number): Promise<void> {
  await entry.instance.stop(reason, graceMs)
  await entry.settled
}
