/**
 * The bits on disk that say which chunks were written. A bit follows its chunk, so after a kill -9
 * a set bit means whole bytes. They are changed by the store's thread (chunk-jobs.ts).
 */
import { readFile } from 'node:fs/promises'
import { Bitfield } from '../bundle/index.ts'
import { errorCode } from '../errors.ts'

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
