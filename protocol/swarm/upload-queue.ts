/**
 * Who is served next. Each requester has a bounded queue; among those that wait, the one that got
 * the fewest bytes goes first (start-time fair queueing: Goyal, Vin, Cheng, SIGCOMM 1996), so that
 * a peer with many requests, or with big chunks, takes no more than its share. No I/O, no time.
 */
import type { BundleId } from '../ids.ts'
import { TooManyRequestsError } from './errors.ts'

/** Honest peers have at most a credit outstanding: some twenty chunks of 64 KiB, 130 of config. */
export const queuedChunksMax = 1024
export const queuedJobsMax = 256

export type ChunkJob = Readonly<{ kind: 'chunk'; bundle: BundleId; id: number; number: number }>
export type DescriptorJob = Readonly<{ kind: 'descriptor'; bundle: BundleId; offset: number }>
export type UploadJob = ChunkJob | DescriptorJob

type Waiting =
  | { kind: 'chunk'; bundle: BundleId; id: number; next: number; end: number }
  | DescriptorJob

type Line = { waiting: Waiting[]; chunks: number; servedBytes: number }

/** `R` names a requester: the object that serves it. */
export class UploadQueue<R> {
  readonly #lines = new Map<R, Line>()
  /** Bytes that the least served of the waiting had when it was last chosen. */
  #floorBytes = 0

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

  /** What is left of a request, or of a bundle, is dropped. */
  cancel(requester: R, which: { readonly id: number } | { readonly bundle: BundleId }): void {
    const line = this.#lines.get(requester)
    if (!line) return
    line.waiting = line.waiting.filter((job) => {
      const same =
        'id' in which ? job.kind === 'chunk' && job.id === which.id : job.bundle === which.bundle
      if (same && job.kind === 'chunk') line.chunks -= job.end - job.next
      return !same
    })
  }

  remove(requester: R): void {
    this.#lines.delete(requester)
  }

  /** Takes the next job of the least served requester that `mayServe`. */
  next(mayServe: (requester: R) => boolean): { requester: R; job: UploadJob } | undefined {
    let chosen: readonly [R, Line] | undefined
    for (const [requester, line] of this.#lines) {
      if (line.waiting.length === 0 || !mayServe(requester)) continue
      if (!chosen || line.servedBytes < chosen[1].servedBytes) chosen = [requester, line]
    }
    if (!chosen) return undefined
    const [requester, line] = chosen
    this.#floorBytes = Math.max(this.#floorBytes, line.servedBytes)
    const job = take(line)
    return job && { requester, job }
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

function take(line: Line): UploadJob | undefined {
  const head = line.waiting[0]
  if (!head) return undefined
  if (head.kind === 'descriptor') {
    line.waiting.shift()
    return head
  }
  const { bundle, id, next: number } = head
  head.next += 1
  line.chunks -= 1
  if (head.next === head.end) line.waiting.shift()
  return { kind: 'chunk', bundle, id, number }
}
