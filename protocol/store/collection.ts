/**
 * One kind of record within a store: keys under a name, values of one schema. What is read is
 * validated, because a disk and an older version are outside like any peer; without it a damaged
 * record surfaces far away as `undefined is not …`.
 */
import type { Static, TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { StoreRecordError, StoreValueError } from './errors.ts'
import type { Store, StoreEntry, StoreOperation, StoreRange } from './store.ts'

export interface Collection<V> {
  /** @throws {StoreRecordError} What lies under `key` does not fit the schema. */
  get(key: string): Promise<V | undefined>
  /** @throws {StoreValueError} `value` does not fit the schema (a bug of the caller). */
  put(key: string, value: V): Promise<void>
  delete(key: string): Promise<void>
  /** Entries in key order; keys and bounds are those of the collection, without its name. */
  entries(range?: StoreRange): AsyncIterable<StoreEntry<V>>
  /** For `store.batch`, to change several collections as one. @throws {StoreValueError} */
  putOperation(key: string, value: V): StoreOperation
  deleteOperation(key: string): StoreOperation
}

/** Names of collections; `/` ends them, so that none is the beginning of another. */
const nameForm = /^[a-z0-9][a-z0-9.-]*$/

/** The records that `store` keeps under `name/`. Keys may hold anything, `/` too. */
export function collection<S extends TSchema>(
  store: Store,
  name: string,
  schema: S,
): Collection<Static<S>> {
  if (!nameForm.test(name)) throw new StoreValueError(name, `a name must match ${nameForm.source}`)
  const validator = Compile(schema)
  const start = `${name}/`

  /** The first thing wrong, by place and rule; never the value, which may be a secret. */
  const problem = (value: unknown): string => {
    const first = validator.Errors(value)[0]
    return `${first?.instancePath || 'the value'} ${first?.message ?? 'does not fit'}`
  }
  const parse = (key: string, value: unknown): Static<S> => {
    if (!validator.Check(value)) throw new StoreRecordError(start + key, problem(value))
    return value as Static<S>
  }
  const putOperation = (key: string, value: Static<S>): StoreOperation => {
    if (!validator.Check(value)) throw new StoreValueError(start + key, problem(value))
    return { type: 'put', key: start + key, value }
  }
  const deleteOperation = (key: string): StoreOperation => ({ type: 'del', key: start + key })

  async function* entries(range: StoreRange): AsyncGenerator<StoreEntry<Static<S>>> {
    for await (const [key, value] of store.entries(within(start, range))) {
      const own = key.slice(start.length)
      yield [own, parse(own, value)]
    }
  }

  return {
    async get(key) {
      const value = await store.get(start + key)
      return value === undefined ? undefined : parse(key, value)
    },
    put: async (key, value) => store.batch([putOperation(key, value)]),
    delete: (key) => store.delete(start + key),
    entries: (range = {}) => entries(range),
    putOperation,
    deleteOperation,
  }
}

/** A range of the collection's keys as one of the store's. */
function within(start: string, { prefix, gt, gte, lt, lte, ...rest }: StoreRange): StoreRange {
  return {
    ...rest,
    prefix: start + (prefix ?? ''),
    ...(gt === undefined ? {} : { gt: start + gt }),
    ...(gte === undefined ? {} : { gte: start + gte }),
    ...(lt === undefined ? {} : { lt: start + lt }),
    ...(lte === undefined ? {} : { lte: start + lte }),
  }
}
