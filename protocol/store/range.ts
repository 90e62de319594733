/** A {@link StoreRange} as two bounds in bytes, alike for every store. */
import { encodeKey } from './encoding.ts'
import type { StoreRange } from './store.ts'

/** `start` ≤ key < `end`; absent: no bound. */
export type ByteRange = Readonly<{ start?: Uint8Array; end?: Uint8Array }>

/** The bounds of a range as bytes; the tightest of those given. */
export function byteRange({ prefix, gt, gte, lt, lte }: StoreRange): ByteRange {
  const starts: Uint8Array[] = []
  const ends: Uint8Array[] = []
  if (prefix) {
    starts.push(encodeKey(prefix))
    ends.push(afterPrefix(encodeKey(prefix)))
  }
  if (gte) starts.push(encodeKey(gte))
  if (gt !== undefined) starts.push(next(Buffer.from(gt)))
  if (lt !== undefined) ends.push(Buffer.from(lt))
  if (lte !== undefined) ends.push(next(Buffer.from(lte)))
  starts.sort(Buffer.compare)
  ends.sort(Buffer.compare)
  const start = starts.at(-1)
  const end = ends[0]
  return { ...(start ? { start } : {}), ...(end ? { end } : {}) }
}

/** Whether a key of these bytes lies within. */
export function isWithin(key: Uint8Array, { start, end }: ByteRange): boolean {
  if (start && Buffer.compare(key, start) < 0) return false
  return !end || Buffer.compare(key, end) < 0
}

/** The first byte string after `bytes`. */
function next(bytes: Uint8Array): Uint8Array {
  return Buffer.concat([bytes, Buffer.of(0)])
}

/** The first byte string after all that begin with `prefix`. UTF-8 has no byte 0xff to carry. */
function afterPrefix(prefix: Uint8Array): Uint8Array {
  const end = Buffer.from(prefix)
  end[end.length - 1] = (end.at(-1) ?? 0) + 1
  return end
}
