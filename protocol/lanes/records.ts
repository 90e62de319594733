/**
 * How bytes lie on a connection once it is encrypted: records of a length (3 bytes, big-endian) and
 * a Noise transport message, whose plaintext begins with a byte that says what the rest is. Noise's
 * own messages end at 65,535 bytes: a chunk of 64 KiB with its header took two, each with a cipher
 * of its own. Pure: who has the keys seals and opens.
 */
import { Uint8ArrayList } from 'uint8arraylist'

/** What a record carries: bytes of the muxer, or of one lane. */
export const recordKinds = { muxer: 0, lane: 1 } as const
export type RecordKind = (typeof recordKinds)[keyof typeof recordKinds]

/** Plaintext in one record, without its kind; what is longer goes in several. A chunk and its frame. */
export const recordBytesMax = 128 * 1024
const lengthBytes = 3
/** Poly1305's tag, the kind, and the number of a lane. */
const overheadBytes = 16 + 1 + 4

type Bytes = Uint8Array | Uint8ArrayList

/** A record around what was sealed. */
export function framed(sealed: Bytes): Uint8ArrayList {
  const { byteLength } = sealed
  const head = Uint8Array.of(byteLength >> 16, (byteLength >> 8) & 0xff, byteLength & 0xff)
  const record = new Uint8ArrayList<ArrayBufferLike>(head)
  record.append(sealed)
  return record
}

/** Cuts what comes into what was sealed; a record is given in the pieces that it came in. */
export class RecordCutter {
  readonly #unread = new Uint8ArrayList<ArrayBufferLike>()
  #wantedBytes: number | undefined

  add(bytes: Bytes): void {
    this.#unread.append(bytes)
  }

  /** Of the record that is coming, what has not come; 0 between records. */
  get missingBytes(): number {
    return this.#wantedBytes === undefined ? 0 : this.#wantedBytes - this.#unread.byteLength
  }

  /** The next whole record's content. @throws {RangeError} it says to be longer than any is. */
  next(): Uint8ArrayList | undefined {
    const unread = this.#unread
    if (this.#wantedBytes === undefined) {
      if (unread.byteLength < lengthBytes) return undefined
      const bytes = (unread.get(0) << 16) | (unread.get(1) << 8) | unread.get(2)
      if (bytes > recordBytesMax + overheadBytes) throw new RangeError(`a record of ${bytes} bytes`)
      unread.consume(lengthBytes)
      this.#wantedBytes = bytes
    }
    if (unread.byteLength < this.#wantedBytes) return undefined
    const content = unread.sublist(0, this.#wantedBytes)
    unread.consume(this.#wantedBytes)
    this.#wantedBytes = undefined
    return content
  }
}
