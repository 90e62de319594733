/**
 * Carries out what the picker decides, within each sender's credit: asks, cancels, and takes a
 * chunk over from a sender that keeps us waiting while a faster one is idle.
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
/** What taking over may cost in chunks that came twice: a hundredth, but a few in any case. */
const duplicateShareMax = 0.01
const duplicateChunksFree = 4
/** A chunk that is due sooner is waited for: both clocks and rates are not better than that. */
const takeOverMinMs = 200
/** Requests in a sender's credit: one alone would leave it idle for a round trip. */
const requestsPerCredit = 4

export type ChunkAskerComponents = Readonly<{
  bundle: BundleId
  layout: BundleLayout
  picker: Picker
  senderOf: (peer: string) => Sender | undefined
  /** The limit on what comes in. */
  bucket: TokenBucket
  stats: SwarmStats
}>

/** Asks senders for what the picker chose, as far as their credit goes. */
export class ChunkAsker {
  readonly #with: ChunkAskerComponents
  /** Plaintext bytes of the bundle's biggest chunk. */
  readonly #chunkBytes: number
  /** Bytes of this bundle that came twice. */
  duplicateBytes = 0

  constructor(components: ChunkAskerComponents) {
    this.#with = components
    const { blobs } = components.layout.descriptor
    this.#chunkBytes = Math.max(...blobs.map(({ chunkSizeBytes }) => chunkSizeBytes))
  }

  /** Asks as much of a sender as its credit allows. Returns for how long the limit says to wait. */
  fill(sender: Sender, nowMs: number): number {
    const { stats, bucket, picker } = this.#with
    const allowedBytes = sender.credit.allowedBytes(this.#chunkBytes, nowMs)
    const runMax = allowedBytes / this.#chunkBytes / requestsPerCredit
    const run = { runMax: Math.max(1, Math.min(requestChunksMax, runMax)) }
    while (sender.asked.size < askedPerSenderMax && stats.writingBytes < writingBytesMax) {
      const waitMs = bucket.waitMs(1, nowMs)
      if (waitMs > 0) return waitMs
      const freeBytes = allowedBytes - sender.outstandingBytes
      const choice = picker.choose(sender.peer, { ...run, freeBytes })
      if (!choice) {
        if (freeBytes > 0 && sender.asked.size === 0) this.#takeOver(sender, nowMs)
        return 0
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
    }
    return freed
  }

  #request(sender: Sender, { start, count }: Run, nowMs: number): void {
    const { bundle, layout, bucket } = this.#with
    assert(sender.session, 'a sender that is asked has a session')
    sender.credit.asked(nowMs)
    const id = sender.session.request(bundle, { start, count })
    for (let chunk = start; chunk < start + count; chunk++) {
      const bytes = layout.locate(chunk).travelBytes
      bucket.take(bytes, nowMs)
      sender.ask(chunk, { id, atMs: nowMs, bytes, first: chunk === start })
    }
  }

  /**
   * Without it the last chunks wait for the slowest home of the street. Re-assigned rather than
   * asked twice (hypercore's "hotswap", swarm.md 2.4); what was under way comes twice all the same.
   */
  #takeOver(sender: Sender, nowMs: number): void {
    const { picker, layout, senderOf } = this.#with
    const freeBytes = Math.max(
      layout.travelBytes * duplicateShareMax,
      duplicateChunksFree * this.#chunkBytes,
    )
    if (this.duplicateBytes > freeBytes) return
    const worst = picker.slowest(sender.peer, (owner) => senderOf(owner)?.waitMs(nowMs) ?? 0)
    const owner = worst && senderOf(worst.owner)
    const asked = worst && owner?.asked.get(worst.chunk)
    if (!worst || !owner || !asked) return
    // A sender that has not delivered yet is taken to need a second for a chunk.
    const rate = sender.credit.bytesPerS(nowMs) || asked.bytes
    const ownMs = (asked.bytes * 1000) / rate + sender.credit.roundTripMs()
    if (worst.waitMs <= Math.max(takeOverMinMs, 2 * ownMs)) return
    this.cancel(owner, asked.id, nowMs)
    if (!picker.reserve(worst.chunk, sender.peer)) return
    this.#request(sender, { start: worst.chunk, count: 1 }, nowMs)
  }
}
