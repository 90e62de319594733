/**
 * Sends what requesters wait for, as slots and the chef's limit allow. The queue says whose turn
 * it is, the slots how many at once; this part does it.
 *
 * A requester that does not read holds its slot for two seconds at most (what it was sent stays
 * with it: two chunks of memory), after half a minute it loses its stream.
 */
import { minChunkSizeBytes } from '../bundle/index.ts'
import type { Clock } from '../clock.ts'
import type { PeerId } from '../ids.ts'
import { ReaderStalledError } from './errors.ts'
import { UploadSlots } from './schedule/index.ts'
import { type Arrival, SendDelay } from './send-delay.ts'
import type { TokenBucket } from './token-bucket.ts'
import { type TurnRank, type UploadJob, UploadQueue } from './upload-queue.ts'

/** What is waited for longer is seen by the tick, without a timer of its own. */
const tickMs = 250
const stalledMs = 30_000
/** Adjacent chunks that go in one send; it may take the uplink so long. */
const runChunksMax = 8
const runMs = 20

/** One inbound stream. */
export interface Requester {
  readonly peer: PeerId
  /** Bytes that `job` would send, for the limit; 0 when it cannot be served. */
  sizeOf(job: UploadJob): number
  /** Sends the answer; resolves when the stream took it. Must not throw. */
  send(job: UploadJob): Promise<void>
  abort(error: Error): void
}

export type UploaderInit = Readonly<{
  slots?: number
  /** Who goes first; without it all are equal. */
  rank?: TurnRank<Requester>
  /** The uplink's rate, measured or limited; undefined: not known. */
  uploadBytesPerS?: () => number | undefined
}>

/** Sends what was asked for, a few chunks at a time, fairly. */
export class Uploader {
  readonly queue: UploadQueue<Requester>
  readonly #slots: UploadSlots<Requester>
  readonly #rank: TurnRank<Requester> | undefined
  readonly #uploadBytesPerS: () => number | undefined
  readonly #bucket: TokenBucket
  readonly #clock: Clock
  readonly #signal: AbortSignal
  readonly #delay = new SendDelay<Requester>()
  #wakeAtMs = Number.POSITIVE_INFINITY

  constructor(
    { slots, rank, uploadBytesPerS = () => undefined }: UploaderInit,
    components: Readonly<{
      bucket: TokenBucket
      clock: Clock
      random: () => number
      signal: AbortSignal
    }>,
  ) {
    this.queue = new UploadQueue(components.random)
    this.#slots = new UploadSlots({ ...(slots === undefined ? {} : { slots }), uploadBytesPerS })
    this.#rank = rank
    this.#uploadBytesPerS = uploadBytesPerS
    this.#bucket = components.bucket
    this.#clock = components.clock
    this.#signal = components.signal
  }

  /** Starts as many sends as slots and the limit allow. Call after anything was queued. */
  pump(): void {
    while (!this.#signal.aborted) {
      const nowMs = this.#clock.nowMs()
      const limitMs = this.#bucket.waitMs(1, nowMs)
      if (limitMs > 0) {
        this.#wake(nowMs, limitMs)
        return
      }
      if (!this.#slots.free(nowMs)) {
        const slotMs = this.#slots.waitMs(nowMs) ?? tickMs
        if (slotMs < tickMs) this.#wake(nowMs, Math.max(1, slotMs))
        return
      }
      const next = this.queue.next((requester) => this.#slots.mayServe(requester), {
        rank: this.#rank,
        runMax: this.#runMax(),
      })
      if (!next) return
      const bytes = next.requester.sizeOf(next.job)
      this.queue.charge(next.requester, bytes)
      this.#bucket.take(bytes, nowMs)
      void this.#run(next.requester, next.job, bytes)
    }
  }

  /** Ends those who do not read. Call every quarter of a second. */
  tick(): void {
    for (const { requester } of this.#slots.olderThan(stalledMs, this.#clock.nowMs())) {
      requester.abort(new ReaderStalledError(stalledMs))
    }
    this.pump()
  }

  /** A chunk has come to its requester. */
  arrived(requester: Requester, arrival: Arrival): void {
    const nowMs = this.#clock.nowMs()
    const pauseMs = this.#delay.arrived(requester, arrival, nowMs)
    const rate = this.#uploadBytesPerS()
    if (rate !== undefined && pauseMs > 0) this.#bucket.take((rate * pauseMs) / 1000, nowMs)
  }

  remove(requester: Requester): void {
    this.queue.remove(requester)
  }

  async #run(requester: Requester, job: UploadJob, bytes: number): Promise<void> {
    const holders = job.kind === 'chunk' ? this.#rank?.holdersOf(job.bundle, job.number) : undefined
    const send = this.#slots.start(requester, bytes, this.#clock.nowMs(), holders)
    try {
      await requester.send(job)
    } finally {
      this.#slots.end(send)
      this.pump()
    }
  }

  /** Chunks in one send: a run of some is cheaper, but what comes meanwhile waits for its end. */
  #runMax(): number {
    const rate = this.#uploadBytesPerS()
    if (rate === undefined) return runChunksMax
    const bytes = (rate * runMs) / 1000
    return Math.max(1, Math.min(runChunksMax, Math.floor(bytes / minChunkSizeBytes)))
  }

  /** Pumps again then, unless that will be done before anyway. */
  #wake(nowMs: number, afterMs: number): void {
    // The tick is there before.
    if (afterMs >= tickMs) return
    const atMs = nowMs + afterMs
    if (this.#wakeAtMs <= atMs) return
    this.#wakeAtMs = atMs
    // Without a signal, which would cost more than the sleep: it is short, and a pump that has ended does nothing.
    void this.#clock.sleep(afterMs).then(() => {
      if (this.#wakeAtMs === atMs) this.#wakeAtMs = Number.POSITIVE_INFINITY
      this.pump()
    })
  }
}
