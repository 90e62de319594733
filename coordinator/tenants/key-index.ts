/**
 * Finds a key by its hash without a walk over all of them: by the hash's first bytes, then bytes
 * compared in constant time. How long a look-up takes can tell the prefix of a hash at most, and
 * who can choose keys by their hash's prefix is no nearer to one with all 256 bits.
 */
import { timingSafeEqual } from 'node:crypto'

type Hashed = Readonly<{ id: string; hash: Uint8Array }>

/** 64 bits: of ten thousand random keys no two share it. */
const prefixBytes = 8

export class KeyIndex<K extends Hashed> {
  readonly #buckets = new Map<string, readonly K[]>()

  add(key: K): void {
    this.#buckets.set(prefixOf(key.hash), [...this.candidates(key.hash), key])
  }

  remove({ id, hash }: Hashed): void {
    const rest = this.candidates(hash).filter((key) => key.id !== id)
    if (rest.length > 0) this.#buckets.set(prefixOf(hash), rest)
    else this.#buckets.delete(prefixOf(hash))
  }

  /** The keys that a look-up compares with. */
  candidates(hash: Uint8Array): readonly K[] {
    return this.#buckets.get(prefixOf(hash)) ?? []
  }

  find(hash: Uint8Array): K | undefined {
    let found: K | undefined
    for (const key of this.candidates(hash)) if (timingSafeEqual(key.hash, hash)) found = key
    return found
  }
}

function prefixOf(hash: Uint8Array): string {
  return Buffer.from(hash.buffer, hash.byteOffset, prefixBytes).toString('latin1')
}
