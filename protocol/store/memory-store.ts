/** A store in memory, for unit tests and simulations. Held to the same suite as the one on disk. */
import { type ByteStoreInit, createByteStore } from './byte-store.ts'
import { isWithin } from './range.ts'
import type { Store } from './store.ts'

/** A `Store` in memory, for tests; it passes the same suite as the disk's. */
export function createMemoryStore(init: ByteStoreInit = {}): Store {
  const values = new Map<string, Readonly<{ key: Uint8Array; value: Uint8Array }>>()
  /** Sorted by key; absent after a change, since most tests write much and list little. */
  let sorted: (readonly [Uint8Array, Uint8Array])[] | undefined
  const name = (key: Uint8Array): string => Buffer.from(key).toString()
  const inOrder = (): (readonly [Uint8Array, Uint8Array])[] => {
    sorted ??= Array.from(values.values(), ({ key, value }) => [key, value] as const).sort(
      ([a], [b]) => Buffer.compare(a, b),
    )
    return sorted
  }

  return createByteStore(
    {
      get: async (key) => values.get(name(key))?.value,
      async write(operations) {
        sorted = undefined
        for (const { key, value } of operations) {
          if (value) values.set(name(key), { key, value })
          else values.delete(name(key))
        }
      },
      async *entries({ reverse, limit, ...range }) {
        const within = inOrder().filter(([key]) => isWithin(key, range))
        if (reverse) within.reverse()
        yield* within.slice(0, limit)
      },
      close: async () => {},
    },
    init,
  )
}
