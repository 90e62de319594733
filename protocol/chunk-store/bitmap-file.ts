/**
 * The bits on disk that say which chunks were written. A bit follows its chunk, so after a kill -9
 * a set bit means whole bytes. Changes that come while one write is under way go out together in
 * the next (group commit), in order: a later write never carries an older state of a byte.
 */
import { readFile } from 'node:fs/promises'
import { Bitfield } from '../bundle/index.ts'
import { errorCode } from '../errors.ts'
import type { ChunkThread } from './chunk-thread.ts'
import type { FilePool } from './file-pool.ts'

export interface BitmapFile {
  /** Resolves when the change would survive a kill -9. */
  set(bit: number, value: boolean): Promise<void>
}

type Change = Readonly<{ bit: number; value: boolean; done: PromiseWithResolvers<void> }>

/** The bits of one blob on disk; see the head of this file. */
export function createBitmapFile(
  { path, bits }: { readonly path: string; readonly bits: Bitfield },
  { pool, thread }: { readonly pool: FilePool; readonly thread: ChunkThread },
): BitmapFile {
  const onDisk = Bitfield.fromBytes(bits.size, bits.toBytes())
  let waiting: Change[] = [] // bounded by the writes under way, which callers bound
  let running = false

  const writeBatch = async (batch: readonly Change[]): Promise<void> => {
    for (const { bit, value } of batch) onDisk.set(bit, value)
    const touched = batch.map(({ bit }) => bit >> 3)
    const first = Math.min(...touched)
    const bytes = onDisk.toBytes().subarray(first, Math.max(...touched) + 1)
    const name = undefined
    await pool.use(path, ({ fd }) => thread.write({ fd, position: first, bytes, name }))
  }
  const drain = async (): Promise<void> => {
    while (waiting.length > 0) {
      const batch = waiting
      waiting = []
      try {
        await writeBatch(batch)
        for (const { done } of batch) done.resolve()
      } catch (error) {
        for (const { done } of batch) done.reject(error)
      }
    }
    running = false
  }
  return {
    set(bit, value) {
      const done = Promise.withResolvers<void>()
      waiting.push({ bit, value, done })
      // What a batch of chunks sets together goes out together.
      if (!running) {
        running = true
        setImmediate(() => void drain())
      }
      return done.promise
    },
  }
}

/** The bits of a file: a short one (never written to its end) is padded; a wrong one holds none. */
export async function readBitmap(path: string, size: number): Promise<Bitfield> {
  const sizeBytes = Math.ceil(size / 8)
  try {
    const found = await readFile(path)
    if (found.length > sizeBytes) return new Bitfield(size)
    return Bitfield.fromBytes(size, Buffer.concat([found], sizeBytes))
  } catch (error) {
    const code = errorCode(error)
    if (code === 'ENOENT' || code === 'MALFORMED_BITFIELD') return new Bitfield(size)
    throw error
  }
}
