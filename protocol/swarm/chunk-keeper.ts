/**
 * Keeps what comes: writes a chunk, counts it for whoever sent it, and tells a wrong one from one
 * that came twice. It is the only place that decides whose a byte was.
 */
import { hash } from 'node:crypto'
import type { Uint8ArrayList } from 'uint8arraylist'
import type { StoredBundle } from '../chunk-store/index.ts'
import { errorCode } from '../errors.ts'
import type { Misbehaviour } from './peer-book.ts'
import type { Sender } from './sender.ts'
import type { SwarmStats } from './stats.ts'

export type ChunkKeeperComponents = Readonly<{
  stored: StoredBundle
  stats: SwarmStats
  onDuplicate: (bytes: number) => void
  onWrong: (sender: Sender, facts: Partial<Misbehaviour>) => void
  /** The store cannot keep it: full, gone, broken. */
  onFault: (error: unknown) => void
  /** It was written, or not: whoever was asked for it owes it no more. */
  onSettled: (sender: Sender, chunk: number) => void
}>

/** Writes the chunks of one bundle, and keeps account. */
export class ChunkKeeper {
  readonly #with: ChunkKeeperComponents
  /** Chunks that came and are being written, and who sent them. */
  readonly #arriving = new Map<number, Sender>()
  /** Bytes held, as they travel. */
  heldBytes = 0

  constructor(components: ChunkKeeperComponents) {
    this.#with = components
    for (const { start, count } of components.stored.held.runs()) {
      for (let chunk = start; chunk < start + count; chunk++) this.heldBytes += this.bytesOf(chunk)
    }
  }

  bytesOf(chunk: number): number {
    return this.#with.stored.layout.locate(chunk).travelBytes
  }

  /** Takes a chunk that a sender sent. */
  async keep(sender: Sender, chunk: number, body: Uint8ArrayList): Promise<void> {
    const { stored, stats, onDuplicate, onWrong, onFault, onSettled } = this.#with
    if (stored.held.has(chunk)) {
      onDuplicate(body.length)
      return
    }
    stats.writingBytes += body.length
    try {
      this.#arriving.set(chunk, sender)
      if ((await stored.put(chunk, body)) === 'held') onDuplicate(body.length)
    } catch (error) {
      if (errorCode(error) !== 'WRONG_CHUNK') {
        stats.discardedBytes += body.length
        onFault(error)
        return
      }
      stats.wrongChunks += 1
      stats.wrongBytes += body.length
      onWrong(sender, {
        chunk,
        expectedName: Buffer.from(stored.layout.nameOf(chunk)).toString('hex'),
        gotName: hash('sha256', body.subarray(), 'hex'),
      })
    } finally {
      stats.writingBytes -= body.length
      if (this.#arriving.get(chunk) === sender) this.#arriving.delete(chunk)
      onSettled(sender, chunk)
    }
  }

  /** The store holds a chunk now. Returns who sent it, if anybody did. */
  gained(chunk: number): Sender | undefined {
    const bytes = this.bytesOf(chunk)
    const from = this.#arriving.get(chunk)
    this.heldBytes += bytes
    if (from) {
      from.receivedBytes += bytes
      this.#with.stats.verified(from.peer, bytes)
    }
    return from
  }

  /** The store lost a chunk. */
  lost(chunk: number): void {
    this.heldBytes -= this.bytesOf(chunk)
  }
}
