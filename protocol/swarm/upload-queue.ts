/**
 * Who is served next, and with what. Each requester has a bounded queue. A rank says whose turn it
 * is: first chunks that nobody else can serve, in the order of layers (while they are here only,
 * no other uplink can help) and to who can pass most on, then the homes in their turn, then the one
 * that got the fewest bytes (start-time fair queueing: Goyal, Vin, Cheng, SIGCOMM 1996), and of
 * its chunks the rarest. Equals are drawn: in the order in which they came, the same homes would be
 * first at all holders, and have much while others have nothing to pass on. Every eighth choice goes
 * to who is done soonest: a tenant waits for the first replica, and few bytes make it early. Rarity
 * does not decide between homes: who lags asks for what many have, and would lag ever more. Every
 * sixteenth choice goes to the least served whatever the rank says, so that nobody starves and no
 * story about oneself takes more than that from others for good. Without a rank, all are equal: a
 * peer with many requests, or with big chunks, takes no more than its share. No I/O, no time.
 */
import assert from 'node:assert/strict'
import type { BundleId } from '../ids.ts'
import { TooManyRequestsError } from './errors.ts'

/** Honest peers have at most a credit outstanding: some twenty chunks of 64 KiB, 130 of config. */
export const queuedChunksMax = 1024
export const queuedJobsMax = 256

/** Every so many choices the least served goes first. */
export const fairEvery = 16
/** Every so many who is done soonest goes first; never where the least served does. */
const soonestEvery = 8
const soonestAt = 3

/** Adjacent chunks of one request: `count` from `number` on. */
export type ChunkJob = Readonly<{
  kind: 'chunk'
  bundle: BundleId
  id: number
  number: number
  count: number
}>
export type DescriptorJob = Readonly<{ kind: 'descriptor'; bundle: BundleId; offset: number }>
export type UploadJob = ChunkJob | DescriptorJob

type Waiting =
  | { kind: 'chunk'; bundle: BundleId; id: number; next: number; end: number }
  | DescriptorJob

/** Whose turn it is, by what is known of the swarms. */
export interface TurnRank<R> {
  /**
   * Smaller goes first; equal numbers are equal.
   * @param soonest by who is done soonest alone
   */
  turnOf(requester: R, bundle: BundleId, soonest: boolean): number
  /** What a requester can send on, in bytes a second; 0: not known. */
  uploadBytesPerS(requester: R, bundle: BundleId): number
  /** How many others are known to hold a chunk; 0: nobody else. */
  holdersOf(bundle: BundleId, chunk: number): number
}

export type NextOptions<R> = Readonly<{
  rank?: TurnRank<R> | undefined
  /** Adjacent chunks of one request in a job. */
  runMax?: number
}>

type Line = { waiting: Waiting[]; chunks: number; servedBytes: number }

/** A requester's best job: `lone` is the chunk's number if nobody else has it, `turn` its place. */
type Bid<R> = {
  requester: R
  line: Line
  at: number
  lone: number
  /** Of a lone chunk: what the requester can send on. */
  passesOn: number
  turn: number
  holders: number
}

/** `R` names a requester: the object that serves it. */
export class UploadQueue<R> {
  readonly #lines = new Map<R, Line>()
  /** Bytes that the least served of the waiting had when it was last chosen. */
  #floorBytes = 0
  #choices = 0
  readonly #random: () => number

  /** @param random uniform in [0, 1) */
  constructor(random: () => number) {
    this.#random = random
  }

  /** @throws {TooManyRequestsError} the requester's queue is full. */
  pushRun(requester: R, run: { bundle: BundleId; id: number; first: number; count: number }): void {
    const line = this.#line(requester)
    if (line.chunks + run.count > queuedChunksMax) {
      throw new TooManyRequestsError('chunks', queuedChunksMax)
    }
    const { bundle, id, first, count } = run
    this.#push(line, { kind: 'chunk', bundle, id, next: first, end: first + count })
    line.chunks += count
  }

  /** @throws {TooManyRequestsError} */
  pushDescriptor(requester: R, bundle: BundleId, offset: number): void {
    this.#push(this.#line(requester), { kind: 'descriptor', bundle, offset })
  }

  /** What is left of a request, or of a bundle, is dropped. Returns what a request was for. */
  cancel(
    requester: R,
    which: { readonly id: number } | { readonly bundle: BundleId },
  ): BundleId | undefined {
    const line = this.#lines.get(requester)
    let dropped: BundleId | undefined
    if (!line) return undefined
    line.waiting = line.waiting.filter((job) => {
      const same =
        'id' in which ? job.kind === 'chunk' && job.id === which.id : job.bundle === which.bundle
      if (same) dropped = job.bundle
      if (same && job.kind === 'chunk') line.chunks -= job.end - job.next
      return !same
    })
    return dropped
  }

  remove(requester: R): void {
    this.#lines.delete(requester)
  }

  /** Takes the next job, of a requester that `mayServe`. */
  next(
    mayServe: (requester: R) => boolean,
    { rank, runMax = 1 }: NextOptions<R> = {},
  ): { requester: R; job: UploadJob } | undefined {
    const byRank = this.#choices % fairEvery === fairEvery - 1 ? undefined : rank
    const soonest = this.#choices % soonestEvery === soonestAt
    let best: Bid<R> | undefined
    let ties = 1
    for (const [requester, line] of this.#lines) {
      if (line.waiting.length === 0 || !mayServe(requester)) continue
      const bid = bidOf(requester, line, byRank, soonest)
      const order = best ? orderOf(bid, best) : -1
      ties = order === 0 ? ties + 1 : order < 0 ? 1 : ties
      // Reservoir sampling: each of the equal ones is kept with the same chance.
      if (order < 0 || (order === 0 && this.#random() * ties < 1)) best = bid
    }
    if (!best) return undefined
    this.#choices += 1
    const { requester, line, at } = best
    this.#floorBytes = Math.max(this.#floorBytes, line.servedBytes)
    return { requester, job: take(line, at, runMax) }
  }

  /** Charges a requester for what it is sent. */
  charge(requester: R, bytes: number): void {
    const line = this.#lines.get(requester)
    if (line) line.servedBytes += bytes
  }

  /** Chunks that wait for a requester. */
  waitingChunks(requester: R): number {
    return this.#lines.get(requester)?.chunks ?? 0
  }

  #push(line: Line, job: Waiting): void {
    if (line.waiting.length >= queuedJobsMax) {
      throw new TooManyRequestsError('requests', queuedJobsMax)
    }
    // Silence earns nothing: who comes back starts level with those who waited.
    if (line.waiting.length === 0) line.servedBytes = Math.max(line.servedBytes, this.#floorBytes)
    line.waiting.push(job)
  }

  #line(requester: R): Line {
    let line = this.#lines.get(requester)
    if (!line) {
      line = { waiting: [], chunks: 0, servedBytes: this.#floorBytes }
      this.#lines.set(requester, line)
    }
    return line
  }
}

/** What of a requester's queue goes first: what was asked first, unless a rank knows better. */
function bidOf<R>(
  requester: R,
  line: Line,
  rank: TurnRank<R> | undefined,
  soonest: boolean,
): Bid<R> {
  const none = Number.POSITIVE_INFINITY
  const bid: Bid<R> = { requester, line, at: 0, passesOn: 0, lone: none, turn: none, holders: none }
  if (!rank) return bid
  let bundle: BundleId | undefined
  let turn = 0
  // The inner loop of every holder: it makes no objects, and asks for a turn once a bundle.
  for (let at = 0; at < line.waiting.length; at++) {
    const job = line.waiting[at] as Waiting
    // A descriptor is small, and nothing can be asked before it is there.
    if (job.kind === 'descriptor') {
      bid.at = at
      bid.passesOn = none
      return bid
    }
    if (job.bundle !== bundle) {
      bundle = job.bundle
      turn = rank.turnOf(requester, bundle, soonest)
    }
    const holders = rank.holdersOf(bundle, job.next)
    const lone = holders === 0 ? job.next : none
    const passesOn = holders === 0 ? rank.uploadBytesPerS(requester, bundle) : 0
    const order =
      bid.passesOn - passesOn ||
      compare(lone, bid.lone) ||
      compare(turn, bid.turn) ||
      holders - bid.holders
    if (at > 0 && order >= 0) continue
    bid.at = at
    bid.passesOn = passesOn
    bid.lone = lone
    bid.turn = turn
    bid.holders = holders
  }
  return bid
}

/** Below zero: `a` goes first. Infinities are equal. */
function compare(a: number, b: number): number {
  return a === b ? 0 : a - b
}

/** Below zero: `a` goes first. */
function orderOf<R>(a: Bid<R>, b: Bid<R>): number {
  return (
    compare(b.passesOn, a.passesOn) ||
    compare(a.lone, b.lone) ||
    compare(a.turn, b.turn) ||
    a.line.servedBytes - b.line.servedBytes
  )
}

function take(line: Line, at: number, runMax: number): UploadJob {
  const job = line.waiting[at]
  assert(job, 'a bid is for what waits')
  if (job.kind === 'descriptor') {
    line.waiting.splice(at, 1)
    return job
  }
  const { bundle, id, next: number, end } = job
  const count = Math.min(runMax, end - number)
  job.next += count
  line.chunks -= count
  if (job.next === end) line.waiting.splice(at, 1)
  return { kind: 'chunk', bundle, id, number, count }
}
