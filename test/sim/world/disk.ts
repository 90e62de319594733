/**
 * A machine's disk under a real `Store`: what was synced survives every life; a write that was
 * under way when the process or the power went is there or not, and its writer never hears.
 */
import { type ByteDatabase, createByteStore } from '../../../protocol/store/byte-store.ts'
import type { Store } from '../../../protocol/store/index.ts'
import { isWithin } from '../../../protocol/store/range.ts'
import type { Life } from './machine.ts'

type Entry = readonly [Uint8Array, Uint8Array]

/** A synced write on an SSD. */
const syncMs = 2

export class Disk {
  readonly #values = new Map<string, Entry>()
  readonly #random: () => number

  constructor({ random }: { readonly random: () => number }) {
    this.#random = random
  }

  /** All of it, as a backup has it. */
  copy(): Disk {
    const copy = new Disk({ random: this.#random })
    for (const [name, entry] of this.#values) copy.#values.set(name, entry)
    return copy
  }

  /** The store as one process of the disk's machine opens it. */
  open(life: Life): Store {
    const write: ByteDatabase['write'] = (operations) =>
      new Promise((resolve) => {
        const apply = (): void => {
          for (const { key, value } of operations) {
            const name = nameOf(key)
            if (value) this.#values.set(name, [key, value])
            else this.#values.delete(name)
          }
        }
        let isOver = false
        life.onEnd(() => {
          if (!isOver && this.#random() < 0.5) apply()
          isOver = true
        })
        void life.clock.sleep(syncMs).then(() => {
          if (isOver) return
          isOver = true
          apply()
          resolve()
        })
      })
    const values = this.#values
    return createByteStore({
      get: async (key) => values.get(nameOf(key))?.[1],
      write,
      async *entries({ reverse, limit, ...range }) {
        const within = [...values.values()]
          .filter(([key]) => isWithin(key, range))
          .sort(([a], [b]) => Buffer.compare(a, b))
        if (reverse) within.reverse()
        yield* within.slice(0, limit)
      },
      close: async () => {},
    })
  }
}

function nameOf(key: Uint8Array): string {
  return Buffer.from(key).toString('latin1')
}
