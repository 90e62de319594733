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
import type { Guard } from '../guard/index.ts'
import { admit } from './admission.ts'
import { stopAtMs } from './deadlines.ts'
import { Docket, type DocketEntry } from './docket.ts'
import type { ImageFetcher } from './image-fetcher.ts'
import { startInstance } from './instance.ts'
import { createReaper } from './reap.ts'
import { recordEnd } from './record-end.ts'
import { orderHashOf, type SlotBook } from './slot-book.ts'
import { createSlotTurns } from './slot-turns.ts'

export type AllocationsInit = Readonly<{
  node: PeerId
  /** How many orders the chef allows at once. */
  allocationsMax: number
  /** From the guard of the daemon before this one; see `rememberedStopTimes`. */
  remembered: ReadonlyMap<InstanceId, number>
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
    'held' | 'reports' | 'ticketFor' | 'hintsFor' | 'learnHolders' | 'entries'
  >
  /** Keys that orders here are sealed to, those being taken included: not to be forgotten. */
  keysInUse(): readonly Uint8Array[]
  /** Removes what an engine made after it was told not to. Call it now and then. */
  sweep(options: { readonly signal: AbortSignal }): Promise<void>
  /** Takes no more orders, ends all, and removes what they left. */
  stopAll(reason: Fault, graceMs: number): Promise<void>
}

type Beginning = Readonly<{
  signed: Signed
  order: Allocation
  secrets: AllocationSecrets
  /** Boot clock. */
  deadlineMs: number
  /** Taken now, not found after a crash: what it asks for once is still to be done. */
  isNew: boolean
}>

const lapsed: Fault = { code: 'LEASE_LAPSED', message: 'the lease was not renewed in time' }

/** Holds nothing until `recover`. */
export function createAllocations(
  init: AllocationsInit,
  components: AllocationsComponents,
): Allocations {
  const { node, allocationsMax, remembered, onReport } = init
  const { keeper, time, book, keys, engine, images, guard, clock, logger } = components
  const docket = new Docket()
  const turns = createSlotTurns()
  /** Slots whose order is being taken: they count as running already. */
  const taking = new Map<SlotId, number>()
  const isTaking = (): boolean => taking.size > 0
  const reaper = createReaper({ docket, isTaking }, { engine, clock, logger })
  let isLeaving = false

  /** Instances about to begin, several at once: the guard knows before a container exists. */
  const beginning = new Map<InstanceId, number>()
  const tellGuard = (): Promise<void> => guard.allow(new Map([...docket.stopTimes(), ...beginning]))

  const begin = async ({ signed, order, secrets, deadlineMs, isNew }: Beginning): Promise<void> => {
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
      stopAtMs: deadlineMs,
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
    const leaseEndMs = time.bootMsAt(order.leaseEndMs) ?? 0
    await book.take(order.slot, { term: order.term, epoch: order.epoch }, signed)
    const prior = docket.get(order.slot)
    if (prior && prior.order.instance !== order.instance) {
      await end(prior, { code: 'SUPERSEDED', message: 'a newer epoch was ordered' }, 0)
    }
    const deadlineMs = stopAtMs(leaseEndMs, order)
    beginning.set(order.instance, deadlineMs)
    try {
      await tellGuard()
      await begin({ signed, order, secrets, deadlineMs, isNew: true })
    } finally {
      beginning.delete(order.instance)
    }
  }

  const adopt = async (signed: Signed): Promise<void> => {
    const order = keeper.open('allocation', signed, allocationCodec)
    const deadlineMs = remembered.get(order.instance) ?? 0
    if (deadlineMs <= clock.nowMs()) {
      throw new PotluckError('LEASE_LAPSED', 'the lease lapsed while the daemon was away')
    }
    await begin({ signed, order, secrets: await unseal(keys, order), deadlineMs, isNew: false })
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
    async renew(renewals) {
      for (const renewal of renewals) extend(docket.get(renewal.slot), renewal, time)
      if (docket.size > 0) await tellGuard()
    },
    tick() {
      const nowMs = clock.nowMs()
      for (const entry of docket.entries()) {
        if (entry.stopAtMs <= nowMs) void end(entry, lapsed, 0)
      }
      reaper.tick()
    },
    docket,
    keysInUse,
    async sweep(options) {
      if (!isLeaving) await reaper.sweep(options)
    },
    async stopAll(reason, graceMs) {
      isLeaving = true
      await turns.allFree()
      await Promise.all(docket.entries().map((entry) => end(entry, reason, graceMs)))
      await reaper.flush()
    },
  }
}

/** @throws {UnsealError} the key is not, or no longer, known here. */
async function unseal(keys: KeyRing, { sealed }: Allocation): Promise<AllocationSecrets> {
  return allocationSecretsCodec.decode(await keys.open(sealed))
}

/** A lease only grows: an answer that came late takes nothing back. */
function extend(entry: DocketEntry | undefined, renewal: Renewal, time: CoordinatorTime): void {
  if (!entry || compareFence(entry.order, renewal) !== 0) return
  const endMs = time.bootMsAt(renewal.leaseEndMs)
  if (endMs !== undefined) {
    entry.stopAtMs = Math.max(entry.stopAtMs, stopAtMs(endMs, entry.order))
  }
  if (renewal.ticket) entry.ticket = renewal.ticket
}

function answerTo({ slot, term, epoch }: Allocation, error?: unknown): OrderAnswer {
  if (error === undefined) return { type: 'order-answer', slot, term, epoch }
  const code = errorCode(error) ?? 'ORDER_FAILED'
  const refusal = { code, message: describeError(error).slice(0, 2_000) }
  return { type: 'order-answer', slot, term, epoch, refusal }
}

/** Stops an instance and waits until its end is on record. */
async function end(entry: DocketEntry, reason: Fault, graceMs: number): Promise<void> {
  await entry.instance.stop(reason, graceMs)
  await entry.settled
}
