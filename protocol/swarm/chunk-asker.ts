/**
 * Carries out what the picker decides, within each sender's credit: asks, cancels, and has a chunk
 * handed over from a sender that keeps us waiting to one that is idle. Without that the fast homes
 * of a street idle while chunks wait at the slow ones, and all wait for the slowest at the end.
 *
 * A chunk is not asked of two: the slow sender is told to let go of the request, and only when it
 * says that it has is the chunk asked of the other (hypercore's "hotswap", swarm.md 2.4, without
 * its duplicates: what was on its way already just comes). Only a sender that does not answer is
 * passed over at the price of a possible duplicate, and that within a bound.
 */
import assert from 'node:assert/strict'
import type { BundleLayout, Run } from '../bundle/index.ts'
import type { BundleId } from '../ids.ts'
import type { Picker } from './picker.ts'
import type { Sender } from './sender.ts'
import type { SwarmStats } from './stats.ts'
import type { TokenBucket } from './token-bucket.ts'
import { requestChunksMax } from './wire.ts'

/** Chunks asked of one sender: bounds requests for chunks of a few bytes. */
const askedPerSenderMax = 128
/** Chunks that came and are being written, over all downloads: what memory they may take. */
const writingBytesMax = 16 << 20
/** A sender that was told to let go answers sooner, or something is wrong with it. */
const letGoMs = 2_000
/** What passing over may cost in chunks that came twice: a hundredth, but a few in any case. */
const duplicateShareMax = 0.01
const duplicateChunksFree = 4
/** A chunk that is due sooner is waited for: both clocks and rates are not better than that. */
const handOverMinMs = 200
/** At the end, when all that is missing is asked for, a sender has nothing else to send us. */
const handOverLastMs = 60
/** How long senders keep us waiting is looked at so often: each fill of each sender would cost more. */
const waitsFreshMs = 50
/** Requests in a sender's credit: one alone would leave it idle for a round trip. */
const requestsPerCredit = 4
/** Below it are all chunks. */
const everywhere = Number.POSITIVE_INFINITY

export type ChunkAskerComponents = Readonly<{
  bundle: BundleId
  layout: BundleLayout
  picker: Picker
  senderOf: (peer: string) => Sender | undefined
  /** What a sender has not been told yet of what we hold. */
  newsFor?: (sender: Sender) => number[] | undefined
  /** The limit on what comes in. */
  bucket: TokenBucket
  stats: SwarmStats
}>

type Wait = Readonly<{ owner: Sender; ms: number }>
type Handover = Readonly<{ to: string; sinceMs: number; bytes: number }>

/** Asks senders for what the picker chose, as far as their credit goes. */
export class ChunkAsker {
  readonly #with: ChunkAskerComponents
  /** Plaintext bytes of the bundle's biggest chunk. */
  readonly #chunkBytes: number
  /** Bytes of this bundle that came twice. */
  duplicateBytes = 0
  /** Chunks that a sender was told to let go of, and for whom. */
  readonly #handovers = new Map<number, Handover>()
  /** Chunks whose sender did not answer that it let go. */
  readonly #withheld = new Set<number>()
  /** How long each sender keeps us waiting, the longest first, as of a moment. */
  #waits: readonly Wait[] = []
  #waitsAtMs = Number.NEGATIVE_INFINITY
  /** Senders that can take over no chunk before this one, as of the same moment. */
  readonly #noneBefore = new Map<Sender, number>()
  /** Bytes that handovers will bring to a sender, if they succeed. */
  readonly #promisedBytes = new Map<string, number>()

  constructor(components: ChunkAskerComponents) {
    this.#with = components
    const { blobs } = components.layout.descriptor
    this.#chunkBytes = Math.max(...blobs.map(({ chunkSizeBytes }) => chunkSizeBytes))
  }

  /** Asks as much of a sender as its credit allows. Returns for how long the limit says to wait. */
  fill(sender: Sender, nowMs: number): number {
    const { stats, bucket, picker } = this.#with
    this.#giveUpWaiting(nowMs)
    // Most fills of a big swarm end here: news of what is held or asked for already.
    if (picker.isDry(sender.peer) && this.#hasNone(sender, everywhere, nowMs)) return 0
    const allowedBytes = Math.min(
      sender.credit.allowedBytes(this.#chunkBytes, nowMs),
      sender.trustedBytes(this.#chunkBytes),
    )
    const runBytes = Math.min(allowedBytes / requestsPerCredit, bucket.stepBytes())
    const runMax = Math.max(1, Math.min(requestChunksMax, Math.floor(runBytes / this.#chunkBytes)))
    // From a fast sender a run at a time: credit that comes back by the chunk would go by the chunk.
    const leastBytes = runMax > 1 ? runMax * this.#chunkBytes : 1
    while (sender.asked.size < askedPerSenderMax && stats.writingBytes < writingBytesMax) {
      const waitMs = bucket.waitMs(leastBytes, nowMs)
      if (waitMs > 0) return waitMs
      const promisedBytes = this.#promisedBytes.get(sender.peer) ?? 0
      const freeBytes = allowedBytes - sender.outstandingBytes - promisedBytes
      if (freeBytes < leastBytes && sender.outstandingBytes > 0) return 0
      // What holds up a layer goes before what lies beyond it: it may wait for minutes at a sender
      // where others' turns come first.
      const takenTo = freeBytes > 0 ? picker.windowTakenTo : undefined
      if (takenTo !== undefined && this.#handOver(sender, nowMs, takenTo)) continue
      const choice = picker.choose(sender.peer, { runMax, freeBytes })
      if (!choice) {
        if (freeBytes <= 0 || !this.#handOver(sender, nowMs, everywhere)) return 0
        continue
      }
      this.#request(sender, choice, nowMs)
    }
    return 0
  }

  /** Ends a request at its sender and frees what is left of it. */
  cancel(sender: Sender, id: number, nowMs: number): void {
    sender.session?.cancel(id)
    this.free(sender, id, nowMs)
  }

  /** Frees what is left of a request that ended. Returns those chunks. */
  free(sender: Sender, id: number, nowMs: number): number[] {
    const freed: number[] = []
    for (const [chunk, asked] of sender.asked) if (asked.id === id) freed.push(chunk)
    for (const chunk of freed) {
      this.#with.bucket.giveBack(sender.settle(chunk)?.bytes ?? 0, nowMs)
      this.#with.picker.release(chunk, sender.peer)
      const handover = this.settled(chunk)
      const next = handover && this.#with.senderOf(handover.to)
      if (!next?.session || next === sender) continue
      if (!this.#with.picker.reserve(chunk, next.peer)) continue
      this.#request(next, { start: chunk, count: 1 }, nowMs)
    }
    return freed
  }

  /** A chunk came, or its request ended: it is handed over no more. */
  settled(chunk: number): Handover | undefined {
    this.#withheld.delete(chunk)
    const handover = this.#handovers.get(chunk)
    if (!handover) return undefined
    this.#handovers.delete(chunk)
    const { to, bytes } = handover
    const left = (this.#promisedBytes.get(to) ?? 0) - bytes
    if (left > 0) this.#promisedBytes.set(to, left)
    else this.#promisedBytes.delete(to)
    return handover
  }

  #request(sender: Sender, { start, count }: Run, nowMs: number): void {
    const { bundle, layout, bucket, newsFor } = this.#with
    assert(sender.session, 'a sender that is asked has a session')
    sender.credit.asked(nowMs)
    const id = sender.session.request(
      bundle,
      { start, count },
      sender.session.newsRides ? newsFor?.(sender) : undefined,
    )
    for (let chunk = start; chunk < start + count; chunk++) {
      const bytes = layout.locate(chunk).travelBytes
      bucket.take(bytes, nowMs)
      sender.ask(chunk, { id, atMs: nowMs, bytes, first: chunk === start })
    }
  }

  /**
   * Has the chunk that we would wait for longest come from this sender. Returns whether it may.
   * @param before of the chunks below this number
   */
  #handOver(sender: Sender, nowMs: number, before: number): boolean {
    if (this.#hasNone(sender, before, nowMs)) return false
    // Of one that has not delivered yet its own word counts, and that it serves two at once;
    // without a word it is taken to need a second for a chunk.
    const saidBytesPerS = (sender.link.uploadBytesPerS ?? 0) / 2
    const rate = sender.credit.bytesPerS(nowMs) || saidBytesPerS || this.#chunkBytes
    const ownMs = (this.#chunkBytes * 1000) / rate + sender.credit.roundTripMs()
    const isLast = this.#with.picker.unreserved === 0
    const aboveMs = isLast ? Math.max(handOverLastMs, ownMs) : Math.max(handOverMinMs, 2 * ownMs)
    const mayMove = (chunk: number): boolean => chunk < before && !this.#handovers.has(chunk)
    for (const { owner, ms } of this.#waitsAt(nowMs)) {
      if (ms <= aboveMs) break
      if (owner === sender) continue
      const chunk = this.#with.picker.lastAskedOf(owner.peer, sender.peer, mayMove)
      if (chunk !== undefined) return this.#take(chunk, owner, sender, nowMs)
    }
    this.#noneBefore.set(sender, before)
    return false
  }

  #take(chunk: number, owner: Sender, to: Sender, nowMs: number): boolean {
    const asked = owner.asked.get(chunk)
    if (!owner.session || !asked) return false
    const withheld = this.#withheld.has(chunk)
    if (withheld && !this.#mayDuplicate()) return false
    const { bytes } = asked
    this.#handovers.set(chunk, { to: to.peer, sinceMs: nowMs, bytes })
    this.#promisedBytes.set(to.peer, (this.#promisedBytes.get(to.peer) ?? 0) + bytes)
    if (withheld) this.cancel(owner, asked.id, nowMs)
    else owner.session.letGo(asked.id)
    return true
  }

  #hasNone(sender: Sender, before: number, nowMs: number): boolean {
    if (nowMs - this.#waitsAtMs >= waitsFreshMs) return false
    return (this.#noneBefore.get(sender) ?? 0) >= before
  }

  #waitsAt(nowMs: number): readonly Wait[] {
    if (nowMs - this.#waitsAtMs < waitsFreshMs) return this.#waits
    const waits: Wait[] = []
    for (const peer of this.#with.picker.owners) {
      const owner = this.#with.senderOf(peer)
      if (owner) waits.push({ owner, ms: owner.waitMs(nowMs) })
    }
    this.#waits = waits.sort((a, b) => b.ms - a.ms)
    this.#waitsAtMs = nowMs
    this.#noneBefore.clear()
    return this.#waits
  }

  /** Who was told to let go and says nothing keeps no other sender idle. */
  #giveUpWaiting(nowMs: number): void {
    // A Map keeps the order of adding: the oldest first.
    for (const [chunk, { sinceMs }] of this.#handovers) {
      if (nowMs - sinceMs < letGoMs) return
      this.settled(chunk)
      this.#withheld.add(chunk)
    }
  }

  #mayDuplicate(): boolean {
    const free = duplicateChunksFree * this.#chunkBytes
    const share = this.#with.layout.travelBytes * duplicateShareMax
    return this.duplicateBytes <= Math.max(share, free)
  }
}
