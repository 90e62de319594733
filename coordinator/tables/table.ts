/**
 * A collection whose records are few and asked for at every request, so all of them are in memory.
 * Memory follows the disk: what is there was acknowledged. Two things happen before, because the
 * other order would let somebody slip through: what is deleted is gone at once (a revoked key opens
 * nothing while the disk turns), and a name is taken while its record is on the way.
 */
import type { Static, TSchema } from 'typebox'
import { collection, type Store, type StoreOperation } from '../../protocol/store/index.ts'

export type TableInit<V> = Readonly<{
  store: Store
  /** Under which the record lies on disk. */
  keyOf: (value: V) => string
  /** What no two records may share, beside the key; it never changes. */
  nameOf?: (value: V) => string
}>

/** One record's part in a change of several, for `commit`. */
export type Change = Readonly<{
  operation: StoreOperation
  before(): void
  after(): void
  /** The disk refused it. */
  undo(): void
}>

export interface Table<V> {
  readonly size: number
  all(): readonly V[]
  get(key: string): V | undefined
  byName(name: string): V | undefined
  /** Whether a record has this name, or will in a moment. */
  isTaken(name: string): boolean
  put(value: V): Promise<V>
  delete(key: string): Promise<void>
  putting(value: V): Change
  deleting(key: string): Change
}

/** Writes all of `changes` or none. */
export async function commit(store: Store, changes: readonly Change[]): Promise<void> {
  for (const change of changes) change.before()
  try {
    await store.batch(changes.map(({ operation }) => operation))
  } catch (error) {
    for (const change of changes) change.undo()
    throw error
  }
  for (const change of changes) change.after()
}

/** Loads what `store` keeps under `name`. @throws {StoreRecordError} a record is damaged. */
export async function openTable<S extends TSchema>(
  name: string,
  schema: S,
  { store, keyOf, nameOf }: TableInit<Static<S>>,
): Promise<Table<Static<S>>> {
  type V = Static<S>
  const records = collection(store, name, schema)
  const byKey = new Map<string, V>()
  const byName = new Map<string, V>()
  const onTheWay = new Set<string>()

  const set = (value: V): void => {
    byKey.set(keyOf(value), value)
    if (nameOf) byName.set(nameOf(value), value)
  }
  const drop = (key: string): V | undefined => {
    const value = byKey.get(key)
    byKey.delete(key)
    if (value !== undefined && nameOf) byName.delete(nameOf(value))
    return value
  }
  for await (const [, value] of records.entries()) set(value)

  const table: Table<V> = {
    get size() {
      return byKey.size
    },
    all: () => [...byKey.values()],
    get: (key) => byKey.get(key),
    byName: (wanted) => byName.get(wanted),
    isTaken: (wanted) => byName.has(wanted) || onTheWay.has(wanted),
    async put(value) {
      await commit(store, [table.putting(value)])
      return value
    },
    delete: (key) => commit(store, [table.deleting(key)]),
    putting(value) {
      const own = nameOf?.(value)
      const arrive = (): void => {
        if (own !== undefined) onTheWay.delete(own)
      }
      return {
        operation: records.putOperation(keyOf(value), value),
        before() {
          if (own !== undefined) onTheWay.add(own)
        },
        after() {
          arrive()
          set(value)
        },
        undo: arrive,
      }
    },
    deleting(key) {
      let gone: V | undefined
      return {
        operation: records.deleteOperation(key),
        before() {
          gone = drop(key)
        },
        // Again: a change that was on the way may have put it back.
        after: () => void drop(key),
        undo() {
          if (gone !== undefined) set(gone)
        },
      }
    },
  }
  return table
}
