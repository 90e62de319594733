/**
 * Tells one peer of new chunks, a batch at a time. A message for each chunk would cost a street of
 * homes 5% of its uplinks (swarm.md 2.4); one that waits too long lets uplinks idle. So a burst is
 * one message, and all tellers of a node share an allowance: while it is spent, batches grow.
 */
import type { Clock } from '../clock.ts'
import type { TokenBucket } from './token-bucket.ts'
import { encodeRuns, ridingRunsMax } from './wire.ts'

/**
 * Between homes that ask one another. A message costs each end 0.3 ms of CPU: at 30 ms, sixteen
 * homes on two cores spent more on telling than on chunks. Later news costs the schedule little
 * (`bench swarm-sim` at 30, 100, 250, 500 ms: 8 homes 1.018, 1.017, 1.019, 1.024 of the bound,
 * 12 mixed ones 1.044, 1.045, 1.049, 1.064).
 */
const homeDelayMs = 250
/**
 * Of its first chunks a home tells sooner. It has nothing else to send then, nor have those whom
 * it tells: a chunk takes log N such hops to reach all, and until it has, uplinks idle.
 */
const firstChunks = 8
const firstDelayMs = 5
/** So many new chunks are told of sooner: on a fast link they are the next ones to be asked for. */
const enoughChunks = 16
const enoughMs = 30
const laterStepMs = 55
/** From a seed, which tells a home what to ask for next: a home that waits leaves a link idle. */
export const revealDelayMs = 5
/** To a holder that asks nothing in return: it needs it only to choose whom to serve. */
export const seedHaveDelayMs = 250
/** A message on the wire: Ethernet, IP, TCP, Noise, yamux and our own frame, and a pair of runs. */
export const haveMessageBytes = 130
/** A number of a run that rides on another message. */
const ridingNumberBytes = 3

/** How long a home that holds so many chunks keeps news of one, for more to come with it. */
export function homeHaveDelayMs(heldChunks: number): number {
  return heldChunks <= firstChunks ? firstDelayMs : homeDelayMs
}

export type HaveTellerComponents = Readonly<{
  /** How long news waits for more of it, asked when the first comes. */
  delayMs: () => number
  clock: Clock
  /** What telling may cost, shared by all tellers. */
  allowance: TokenBucket
  /** Whether the peer should be told of a chunk, asked just before it would be. */
  wants: (chunk: number) => boolean
  /** Sends one message; resolves when the stream took it. */
  write: (runs: number[]) => Promise<void>
  onFault: (error: Error) => void
}>

/** One peer's news of one bundle: at most a number a chunk is kept. */
export class HaveTeller {
  readonly #with: HaveTellerComponents
  readonly #news = new Set<number>()
  #stopped = false
  #telling = false

  constructor(components: HaveTellerComponents) {
    this.#with = components
  }

  /** There is a new chunk to tell of. */
  add(chunk: number): void {
    this.#news.add(chunk)
    if (!this.#telling) void this.#tellOn()
  }

  /** News for a message that goes to the peer anyway: it counts as told. */
  take(): number[] | undefined {
    if (this.#news.size === 0 || this.#news.size > ridingRunsMax) return undefined
    const { clock, allowance, wants } = this.#with
    const [runs] = encodeRuns([...this.#news].filter(wants))
    this.#news.clear()
    if (runs) allowance.take(runs.length * ridingNumberBytes, clock.nowMs())
    return runs
  }

  /** What was added is told otherwise, or no longer true. */
  clear(): void {
    this.#news.clear()
  }

  /** There is nobody to tell any more. */
  stop(): void {
    this.#news.clear()
    this.#stopped = true
  }

  async #tellOn(): Promise<void> {
    const { clock, allowance, onFault } = this.#with
    this.#telling = true
    try {
      while (this.#news.size > 0) {
        await this.#gather()
        for (; this.#news.size > 0; ) {
          const waitMs = allowance.waitMs(haveMessageBytes, clock.nowMs())
          if (waitMs === 0) break
          await clock.sleep(waitMs)
        }
        if (this.#news.size > 0) await this.#tell()
      }
    } catch (error) {
      if (!this.#stopped) onFault(error as Error)
    } finally {
      this.#telling = false
    }
  }

  /** Waits for more of them; not for long once there are enough, nor when all were told otherwise. */
  async #gather(): Promise<void> {
    const { clock } = this.#with
    const untilMs = clock.nowMs() + this.#with.delayMs()
    // A sleep that can be broken off costs several times one that cannot: so it looks now and then.
    for (let stepMs = enoughMs; ; stepMs = laterStepMs) {
      const leftMs = untilMs - clock.nowMs()
      if (leftMs <= 0 || this.#stopped || this.#news.size === 0) return
      if (stepMs === laterStepMs && this.#news.size >= enoughChunks) return
      await clock.sleep(Math.min(stepMs, leftMs))
    }
  }

  /** One batch at a time: while it is not taken, the next one grows. */
  async #tell(): Promise<void> {
    const { clock, allowance, wants, write } = this.#with
    const news = [...this.#news].filter(wants)
    this.#news.clear()
    for (const runs of encodeRuns(news)) {
      allowance.take(haveMessageBytes, clock.nowMs())
      await write(runs)
    }
  }
}
