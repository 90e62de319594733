/**
 * What libp2p keeps of others, in memory: addresses of peers, and who says that they hold a key of
 * the DHT. Servers of the DHT take such provider records from any peer and any number of them, so
 * without a bound one peer with a loop fills the memory of a coordinator or cache.
 *
 * A peer gets a share; past it, its own oldest record goes. Past the bound in all, the oldest of
 * the peer with most goes, so that a crowd of records of one costs the others none. What this host
 * itself provides is never dropped: it is read from here to be said again.
 */
import { NotFoundError } from '@libp2p/interface'
import type { Libp2pInit } from 'libp2p'

export type BoundedDatastoreInit = Readonly<{
  /** This host's own peer id, whose records are kept. */
  self: string
  /** Provider records of one peer: a home holds some hundred bundles, a big cache some thousand. */
  providedPerPeerMax?: number
  /** Provider records in all, each about 300 bytes. */
  providedMax?: number
}>

type Datastore = NonNullable<Libp2pInit['datastore']>
type Key = Parameters<Datastore['get']>[0]
type Pair = { key: Key; value: Uint8Array }
type Query = Parameters<Datastore['query']>[0]
type KeyQuery = Parameters<Datastore['queryKeys']>[0]

/** `/dht/provider/CID/PEER`, as @libp2p/kad-dht 16 writes them. */
const providerPrefix = '/dht/provider/'

/** A datastore in memory, for `createLibp2p`. */
export function createBoundedDatastore(init: BoundedDatastoreInit): Datastore {
  const pairs = new Map<string, Pair>()
  const bound = createProviderBound(init)
  const put = (key: Key, value: Uint8Array): Key => {
    const name = key.toString()
    // Anew at the end: a record that was said again is young again.
    pairs.delete(name)
    pairs.set(name, { key, value })
    for (const dropped of bound.put(name)) pairs.delete(dropped)
    return key
  }
  const drop = (key: Key): void => {
    const name = key.toString()
    bound.drop(name)
    pairs.delete(name)
  }
  const get = (key: Key): Uint8Array => {
    const pair = pairs.get(key.toString())
    if (!pair) throw new NotFoundError(`nothing is kept as ${key.toString()}`)
    return pair.value
  }
  return {
    put,
    get,
    has: (key) => pairs.has(key.toString()),
    delete: drop,
    async *putMany(source) {
      for await (const { key, value } of source) yield put(key, value)
    },
    async *getMany(source) {
      for await (const key of source) yield { key, value: get(key) }
    },
    async *deleteMany(source) {
      for await (const key of source) {
        drop(key)
        yield key
      }
    },
    batch() {
      const work: (() => unknown)[] = []
      return {
        put: (key, value) => work.push(() => put(key, value)),
        delete: (key) => work.push(() => drop(key)),
        commit() {
          for (const one of work.splice(0)) one()
        },
      }
    },
    async *query(query) {
      yield* select([...withPrefix(pairs, query)], query)
    },
    async *queryKeys(query) {
      const keys = [...withPrefix(pairs, query)].map(({ key }) => key)
      yield* select(keys, query)
    },
  }
}

/** Counts provider records by peer. `put` returns the names that must go. */
function createProviderBound(init: BoundedDatastoreInit) {
  const { self, providedPerPeerMax = 4_096, providedMax = 65_536 } = init
  /** Names by peer, each the oldest first. */
  const byPeer = new Map<string, Set<string>>()
  let count = 0

  const forget = (peer: string, name: string): void => {
    const names = byPeer.get(peer)
    if (!names?.delete(name)) return
    count -= 1
    if (names.size === 0) byPeer.delete(peer)
  }
  const largest = (): Set<string> => {
    let most = new Set<string>()
    for (const names of byPeer.values()) if (names.size > most.size) most = names
    return most
  }
  return {
    put(name: string): string[] {
      const peer = providerOf(name)
      if (peer === undefined || peer === self) return []
      forget(peer, name)
      const names = byPeer.get(peer) ?? new Set()
      byPeer.set(peer, names.add(name))
      count += 1
      const full = names.size > providedPerPeerMax ? names : undefined
      const from = full ?? (count > providedMax ? largest() : undefined)
      const [oldest] = from ?? []
      if (oldest === undefined) return []
      forget(providerOf(oldest) ?? '', oldest)
      return [oldest]
    },
    drop(name: string): void {
      const peer = providerOf(name)
      if (peer !== undefined) forget(peer, name)
    },
  }
}

function providerOf(name: string): string | undefined {
  return name.startsWith(providerPrefix) ? name.slice(name.lastIndexOf('/') + 1) : undefined
}

function* withPrefix(pairs: ReadonlyMap<string, Pair>, { prefix = '' }: Query | KeyQuery) {
  for (const [name, pair] of pairs) if (name.startsWith(prefix)) yield pair
}

type Selection<T> = Readonly<{
  filters?: ((item: T) => boolean)[]
  orders?: ((a: T, b: T) => number)[]
  offset?: number
  limit?: number
}>

function select<T>(items: T[], query: Selection<T>): T[] {
  const { filters = [], orders = [], offset = 0, limit = items.length } = query
  const left = items.filter((item) => filters.every((filter) => filter(item)))
  for (const order of orders) left.sort(order)
  return left.slice(offset, offset + limit)
}
