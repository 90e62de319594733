/**
 * Keys and values as bytes, alike in every store, so that what works on the memory store in a test
 * works on disk.
 */
import { decode, encode } from 'cborg'
import { StoreRecordError, StoreValueError } from './errors.ts'

/** Long keys make every block of the index longer; ours are a few ids joined. */
const keyBytesMax = 1024
/** Deeper data comes from nobody honest, and recursion must end. */
const depthMax = 64

/** UTF-8. @throws {StoreValueError} empty, longer than 1024 bytes, or not well-formed. */
export function encodeKey(key: string): Uint8Array {
  if (key === '') throw new StoreValueError(key, 'an empty key is not valid')
  // Two lone surrogates would become one and the same replacement character.
  if (!key.isWellFormed()) throw new StoreValueError(key, 'the key is not well-formed Unicode')
  const bytes = Buffer.from(key)
  if (bytes.length > keyBytesMax) {
    throw new StoreValueError(
      key,
      `a key of ${bytes.length} bytes; at most ${keyBytesMax} are valid`,
    )
  }
  return bytes
}

/** The text of a key's UTF-8 bytes. */
export function decodeKey(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()
}

/** CBOR. @throws {StoreValueError} not plain data. */
export function encodeValue(key: string, value: unknown): Uint8Array {
  try {
    return encode(plain(value, 0))
  } catch (error) {
    throw new StoreValueError(key, 'the value is not plain data', error)
  }
}

/** The value of a record. @throws {StoreRecordError} not the CBOR that {@link encodeValue} writes. */
export function decodeValue(key: string, bytes: Uint8Array): unknown {
  try {
    return decode(bytes, { strict: true, rejectDuplicateMapKeys: true })
  } catch (error) {
    throw new StoreRecordError(key, 'it is not CBOR', error)
  }
}

/** A copy without `undefined` properties; what would not come back as it went in is refused. */
function plain(value: unknown, depth: number): unknown {
  if (depth > depthMax) throw new TypeError(`nested deeper than ${depthMax} levels`)
  if (value === null || typeof value === 'boolean' || typeof value === 'bigint') return value
  if (typeof value === 'string') {
    if (!value.isWellFormed()) throw new TypeError('a string that is not well-formed Unicode')
    return value
  }
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new TypeError(`the number ${value}`)
    return value
  }
  if (value instanceof Uint8Array) return value
  if (Array.isArray(value)) return Array.from(value, (item) => plain(item, depth + 1))
  if (typeof value !== 'object') throw new TypeError(`a ${typeof value}`)
  const prototype = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) {
    throw new TypeError(`an object of class ${value.constructor?.name ?? 'unknown'}`)
  }
  const entries = Object.entries(value).filter(([, item]) => item !== undefined)
  return Object.fromEntries(
    entries.map(([name, item]) => [plain(name, depth), plain(item, depth + 1)]),
  )
}
