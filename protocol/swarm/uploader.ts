/**
 * Sends what requesters wait for, two chunks at a time over all of them: more at once would spread
 * partial chunks over the street, one would idle while a slow receiver takes it (swarm.md 2.3).
 *
 * A requester that does not read would hold its slot for ever. After two seconds it loses the slot
 * (what it was sent stays with it: at most two chunks of memory), after half a minute its stream.
 */
import type { Clock } from '../clock.ts'
import { ReaderStalledError } from './errors.ts'
import type { TokenBucket } from './token-bucket.ts'
import { type UploadJob, UploadQueue } from './upload-queue.ts'

const slotsDefault = 2
/** The next chunk is read from disk while one is on its way. */
const sendsPerRequesterMax = 2
const slotHeldMs = 2_000
const stalledMs = 30_000

/** One inbound stream. */
export interface Requester {
  /** Bytes that `job` would send, for the limit; 0 when it cannot be served. */
  sizeOf(job: UploadJob): number
  /** Sends the answer; resolves when the stream took it. Must not throw. */
  send(job: UploadJob): Promise<void>
  abort(error: Error): void
}

type Send = { readonly requester: Requester; readonly startMs: number; holdsSlot: boolean }

/** Sends what was asked for, a few chunks at a time, fairly. */
export class Uploader {
  readonly queue = new UploadQueue<Requester>()
  readonly #slots: number
  readonly #bucket: TokenBucket
  readonly #clock: Clock
  readonly #signal: AbortSignal
  readonly #sends = new Set<Send>()
  readonly #sendCounts = new Map<Requester, number>()
  #used = 0
  #waking = false

  constructor(
    { slots = slotsDefault }: { readonly slots?: number },
    components: Readonly<{ bucket: TokenBucket; clock: Clock; signal: AbortSignal }>,
  ) {
    this.#slots = slots
    this.#bucket = components.bucket
    this.#clock = components.clock
    this.#signal = components.signal
  }

  /** Starts as many sends as slots and the limit allow. Call after anything was queued. */
  pump(): void {
    while (this.#used < this.#slots && !this.#signal.aborted) {
      const nowMs = this.#clock.nowMs()
      const waitMs = this.#bucket.waitMs(1, nowMs)
      if (waitMs > 0) {
        this.#wake(waitMs)
        return
      }
      const next = this.queue.next((requester) => this.#mayServe(requester))
      if (!next) return
      const bytes = next.requester.sizeOf(next.job)
      this.queue.charge(next.requester, bytes)
      this.#bucket.take(bytes, nowMs)
      void this.#run(next.requester, next.job, nowMs)
    }
  }

  /** Takes slots from those who do not read; ends the worst. Call a few times a second. */
  tick(): void {
    const nowMs = this.#clock.nowMs()
    for (const send of this.#sends) {
      const tookMs = nowMs - send.startMs
      if (tookMs > slotHeldMs) this.#freeSlot(send)
      if (tookMs > stalledMs) send.requester.abort(new ReaderStalledError(stalledMs))
    }
    this.pump()
  }

  remove(requester: Requester): void {
    this.queue.remove(requester)
  }

  async #run(requester: Requester, job: UploadJob, startMs: number): Promise<void> {
    const send: Send = { requester, startMs, holdsSlot: true }
    this.#used += 1
    this.#sends.add(send)
    this.#sendCounts.set(requester, (this.#sendCounts.get(requester) ?? 0) + 1)
    try {
      await requester.send(job)
    } finally {
      this.#sends.delete(send)
      const left = (this.#sendCounts.get(requester) ?? 1) - 1
      if (left === 0) this.#sendCounts.delete(requester)
      else this.#sendCounts.set(requester, left)
      this.#freeSlot(send)
      this.pump()
    }
  }

  #mayServe(requester: Requester): boolean {
    return (this.#sendCounts.get(requester) ?? 0) < sendsPerRequesterMax
  }

  #freeSlot(send: Send): void {
    if (!send.holdsSlot) return
    send.holdsSlot = false
    this.#used -= 1
  }

  #wake(afterMs: number): void {
    if (this.#waking) return
    this.#waking = true
    this.#clock
      .sleep(afterMs, { signal: this.#signal })
      .catch(() => undefined)
      .finally(() => {
        this.#waking = false
        this.pump()
      })
  }
}
