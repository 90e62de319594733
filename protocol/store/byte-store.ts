/**
 * A {@link Store} over anything that can keep bytes: encoding, validation, group commit and closing
 * are written once here, so that stores differ only in where the bytes go.
 */
import { decodeKey, decodeValue, encodeKey, encodeValue } from './encoding.ts'
import { StoreClosedError } from './errors.ts'
import { type ByteOperation, createGroupCommit } from './group-commit.ts'
import { type ByteRange, byteRange } from './range.ts'
import type { Store, StoreOperation, StoreRange } from './store.ts'

export interface ByteDatabase {
  get(key: Uint8Array): Promise<Uint8Array | undefined>
  /** All or nothing; resolves once it is on disk. */
  write(operations: readonly ByteOperation[]): Promise<void>
  /** In key order (or reverse), as of the moment of the first `next`. */
  entries(
    range: ByteRange & Readonly<{ reverse: boolean; limit: number }>,
  ): AsyncIterable<readonly [Uint8Array, Uint8Array]>
  close(): Promise<void>
}

export type ByteStoreInit = Readonly<{ queuedBytesMax?: number; writeBytesMax?: number }>

/** A `Store` over anything that keeps bytes in order. */
export function createByteStore(database: ByteDatabase, init: ByteStoreInit = {}): Store {
  const commits = createGroupCommit({ ...init, write: (batch) => database.write(batch) })
  let closing: Promise<void> | undefined
  const assertOpen = (): void => {
    if (closing) throw new StoreClosedError()
  }

  const batch = async (operations: readonly StoreOperation[]): Promise<void> => {
    assertOpen()
    if (operations.length > 0) await commits.commit(operations.map(toBytes))
  }

  async function* entries(range: StoreRange): AsyncGenerator<readonly [string, unknown]> {
    assertOpen()
    const { signal, reverse = false, limit = Number.POSITIVE_INFINITY } = range
    signal?.throwIfAborted()
    if (limit <= 0) return
    for await (const [key, value] of database.entries({ ...byteRange(range), reverse, limit })) {
      signal?.throwIfAborted()
      const name = decodeKey(key)
      yield [name, decodeValue(name, value)]
      assertOpen()
    }
  }

  return {
    async get(key) {
      assertOpen()
      const bytes = await database.get(encodeKey(key))
      return bytes && decodeValue(key, bytes)
    },
    put: (key, value) => batch([{ type: 'put', key, value }]),
    delete: (key) => batch([{ type: 'del', key }]),
    batch,
    entries: (range = {}) => entries(range),
    close() {
      closing ??= commits.close().then(() => database.close())
      return closing
    },
  }
}

function toBytes(operation: StoreOperation): ByteOperation {
  const key = encodeKey(operation.key)
  if (operation.type === 'del') return { key }
  return { key, value: encodeValue(operation.key, operation.value) }
}
