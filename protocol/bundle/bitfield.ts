/**
 * Which chunks of a bundle somebody holds. Bit 0 is the highest bit of the first byte, and the
 * bits past the last are zero (as in BitTorrent's BEP 3), on the wire and on disk.
 */
import assert from 'node:assert/strict'
import { MalformedBitfieldError } from './errors.ts'

/** Numbers from `start`, `count` of them. */
export type Run = Readonly<{ start: number; count: number }>

export interface ReadonlyBitfield {
  /** How many bits there are. */
  readonly size: number
  /** How many are set. */
  readonly count: number
  /** Whether all are set. */
  readonly full: boolean
  has(bit: number): boolean
  /** The first bit from `from` on that is not set, or `size`. */
  firstMissing(from?: number): number
  /** The first bit from `from` on that is set here and not in `other`, or `size`. */
  firstNotIn(other: ReadonlyBitfield, from?: number): number
  /** Numbers that are not set, from `from` (0) to before `to` (`size`), in order. */
  missing(from?: number, to?: number): Generator<number, void>
  /** Runs of bits that are set, in order. */
  runs(): Generator<Run, void>
  /** A copy: ⌈size / 8⌉ bytes. */
  toBytes(): Uint8Array
}

/** A bitfield of a fixed size, all bits unset at first. Bits outside are our bug, not a `false`. */
export class Bitfield implements ReadonlyBitfield {
  readonly size: number
  readonly #bytes: Uint8Array
  #count = 0

  constructor(size: number) {
    assert(Number.isSafeInteger(size) && size >= 0, 'a size is a whole number')
    this.size = size
    this.#bytes = new Uint8Array(Math.ceil(size / 8))
  }

  /** @throws {MalformedBitfieldError} another length than ⌈size / 8⌉, or padding that is not zero. */
  static fromBytes(size: number, bytes: Uint8Array): Bitfield {
    const field = new Bitfield(size)
    if (bytes.length !== field.#bytes.length) {
      throw new MalformedBitfieldError(
        `${bytes.length} bytes for ${size} bits; ${field.#bytes.length} are needed`,
      )
    }
    const padding = bytes.length * 8 - size
    if (((bytes.at(-1) ?? 0) & ((1 << padding) - 1)) !== 0) {
      throw new MalformedBitfieldError(`bits past the last of ${size} are set`)
    }
    field.#bytes.set(bytes)
    for (const byte of bytes) field.#count += ones(byte)
    return field
  }

  get count(): number {
    return this.#count
  }

  get full(): boolean {
    return this.#count === this.size
  }

  has(bit: number): boolean {
    this.#check(bit)
    return this.#get(bit)
  }

  /** Sets or unsets a bit. Returns whether that changed it. */
  set(bit: number, value = true): boolean {
    this.#check(bit)
    if (this.#get(bit) === value) return false
    const at = bit >> 3
    this.#bytes[at] = (this.#bytes[at] ?? 0) ^ (0x80 >> (bit & 7))
    this.#count += value ? 1 : -1
    return true
  }

  firstMissing(from = 0): number {
    for (let bit = from; bit < this.size; ) {
      // Whole bytes at once: a nearly full field is the common case.
      if ((bit & 7) === 0 && this.#bytes[bit >> 3] === 0xff) bit += 8
      else if (this.#get(bit)) bit += 1
      else return bit
    }
    return this.size
  }

  firstNotIn(other: ReadonlyBitfield, from = 0): number {
    const theirs = other instanceof Bitfield ? other.#bytes : other.toBytes()
    for (let bit = from; bit < this.size; bit++) {
      const left = (this.#bytes[bit >> 3] ?? 0) & ~(theirs[bit >> 3] ?? 0) & (0xff >> (bit & 7))
      if (left === 0) bit |= 7
      else return (bit & ~7) + Math.clz32(left) - 24
    }
    return this.size
  }

  *missing(from = 0, to = this.size): Generator<number, void> {
    for (let bit = this.firstMissing(from); bit < to; bit = this.firstMissing(bit + 1)) yield bit
  }

  *runs(): Generator<Run, void> {
    for (let start = 0; start < this.size; ) {
      if (!this.#get(start)) {
        start += 1
        continue
      }
      const end = this.firstMissing(start)
      yield { start, count: end - start }
      start = end
    }
  }

  toBytes(): Uint8Array {
    return this.#bytes.slice()
  }

  #get(bit: number): boolean {
    return ((this.#bytes[bit >> 3] ?? 0) & (0x80 >> (bit & 7))) !== 0
  }

  #check(bit: number): void {
    // The sentence is made only when it is needed: this runs for every chunk of every have.
    if (Number.isInteger(bit) && bit >= 0 && bit < this.size) return
    assert.fail(`no bit ${bit} of ${this.size}`)
  }
}

function ones(byte: number): number {
  let count = 0
  for (let rest = byte; rest !== 0; rest &= rest - 1) count += 1
  return count
}
