import { randomBytes } from 'node:crypto'
import { expect } from 'chai'
import { CID } from 'multiformats/cid'
import { create as createDigest } from 'multiformats/hashes/digest'
import { type BoundedDatastoreInit, createBoundedDatastore } from './bounded-datastore.ts'
import { dialPeer } from './link.ts'
import { addressOf, createMeshStreet } from './mesh.fixture.ts'

type Key = Parameters<ReturnType<typeof createBoundedDatastore>['get']>[0]
/** Of a key the store uses its name alone. */
const keyOf = (name: string): Key => ({ toString: () => name }) as Key
const one = Uint8Array.of(1)

describe('mesh/bounded-datastore', () => {
  const open = (init: Partial<BoundedDatastoreInit> = {}) => {
    const store = createBoundedDatastore({ self: 'me', ...init })
    return {
      store,
      provide: (cid: string, peer: string) => store.put(keyOf(`/dht/provider/${cid}/${peer}`), one),
      async names(prefix = '/') {
        const keys = await Array.fromAsync(store.queryKeys({ prefix }))
        return keys.map((key) => key.toString().replace('/dht/provider/', ''))
      },
    }
  }

  it('drops the oldest record of a peer that has its share, and no other', async () => {
    const { provide, names } = open({ providedPerPeerMax: 2 })
    await provide('a', 'other')
    for (const cid of ['a', 'b', 'c', 'b', 'd']) await provide(cid, 'greedy')
    expect(await names()).to.have.members(['a/other', 'b/greedy', 'd/greedy'])
  })

  it('drops of the peer with most when all is full, never what is provided here', async () => {
    const { store, provide, names } = open({ providedMax: 3 })
    for (const cid of ['x', 'y', 'z', 'w']) await provide(cid, 'me')
    await provide('a', 'first')
    await provide('a', 'greedy')
    await provide('b', 'greedy')
    await provide('a', 'late')
    const mine = ['x/me', 'y/me', 'z/me', 'w/me']
    expect(await names()).to.have.members([...mine, 'a/first', 'b/greedy', 'a/late'])
    await store.delete(keyOf('/dht/provider/b/greedy'))
    await provide('c', 'greedy')
    expect(await names()).to.have.members([...mine, 'a/first', 'c/greedy', 'a/late'])
  })

  it('keeps all else, and answers as a datastore does', async () => {
    const { store, names } = open({ providedPerPeerMax: 1, providedMax: 1 })
    for (const name of ['/peers/1', '/peers/2', '/peers/3']) await store.put(keyOf(name), one)
    expect(await names('/peers')).to.have.length(3)
    expect(await store.has(keyOf('/peers/1'))).to.equal(true)
    const batch = store.batch()
    batch.delete(keyOf('/peers/1'))
    batch.put(keyOf('/peers/4'), Uint8Array.of(4))
    await batch.commit()
    expect(() => store.get(keyOf('/peers/1')))
      .to.throw()
      .with.property('name', 'NotFoundError')
    expect(store.get(keyOf('/peers/4'))).to.deep.equal(Uint8Array.of(4))
    const query = { prefix: '/peers', offset: 1, limit: 1 }
    const found = await Array.fromAsync(store.query(query))
    expect(found.map(({ key }) => key.toString())).to.deep.equal(['/peers/3'])
  })

  it('bounds what a stranger makes a server of the DHT keep', async function () {
    this.timeout(20_000)
    const street = createMeshStreet()
    try {
      const [server, stranger] = await Promise.all([
        street.host({ role: 'coordinator', providedPerPeerMax: 3 }),
        street.host(),
      ])
      const { signal } = new AbortController()
      await dialPeer(stranger, addressOf(server), { signal })
      const { routingTable } = stranger.services.dht as unknown as {
        routingTable: { readonly size: number }
      }
      while (routingTable.size === 0) await new Promise((next) => setTimeout(next, 10))
      const cids = Array.from({ length: 8 }, () =>
        CID.createV1(0x55, createDigest(0x12, new Uint8Array(randomBytes(32)))),
      )
      for (const cid of cids) await stranger.contentRouting.provide(cid, { signal })
      const isKept = async (cid: CID) => {
        const events = await Array.fromAsync(server.services.dht.findProviders(cid, { signal }))
        return events.some(({ name }) => name === 'PROVIDER')
      }
      // The answer comes once the record is written; the last ones may still be on their way.
      while (!(await isKept(cids.at(-1)!))) await new Promise((next) => setTimeout(next, 10))
      const kept = await Promise.all(cids.map(isKept))
      expect(kept.filter(Boolean)).to.have.length(3)
    } finally {
      await street.stop()
    }
  })
})
