/** What every {@link Store} must do; run on each implementation. */
import { expect } from 'chai'
import fc from 'fast-check'
import type { Store, StoreRange } from './index.ts'

export async function collect(entries: AsyncIterable<readonly [string, unknown]>) {
  const out: (readonly [string, unknown])[] = []
  for await (const entry of entries) out.push(entry)
  return out
}

export async function failure(
  promise: Promise<unknown>,
): Promise<{ code?: string; message: string }> {
  return promise.then(
    () => expect.fail('should have been refused'),
    (error) => error,
  )
}

export function storeConformance(name: string, open: () => Promise<Store>): void {
  describe(`Store: ${name}`, () => {
    let store: Store
    beforeEach(async () => {
      store = await open()
    })
    afterEach(() => store.close())
    const keys = async (range?: StoreRange) =>
      (await collect(store.entries(range))).map(([key]) => key)

    it('gives back what was put, and undefined for what was not', async () => {
      const value = {
        text: 'ü',
        list: [1, -2.5, null, true],
        bytes: Uint8Array.of(0, 255),
        o: { n: 2n ** 63n },
      }
      await store.put('a', value)
      const read = await store.get('a')
      expect(read).to.deep.equal(value)
      expect(await store.get('a'), 'each read is a copy').not.to.equal(read)
      expect(await store.get('b')).to.equal(undefined)
    })

    it('leaves out undefined properties', async () => {
      await store.put('a', { x: undefined, y: 1 })
      expect(await store.get('a')).to.have.all.keys('y')
    })

    it('replaces and deletes; deleting nothing is fine', async () => {
      await store.put('a', 1)
      await store.put('a', 2)
      expect(await store.get('a')).to.equal(2)
      await store.delete('a')
      await store.delete('a')
      expect(await store.get('a')).to.equal(undefined)
    })

    it('applies a batch in order, and an empty one', async () => {
      await store.put('old', 1)
      await store.batch([])
      await store.batch([
        { type: 'put', key: 'a', value: 1 },
        { type: 'put', key: 'a', value: 2 },
        { type: 'put', key: 'b', value: 1 },
        { type: 'del', key: 'b' },
        { type: 'del', key: 'old' },
      ])
      expect(await collect(store.entries())).to.deep.equal([['a', 2]])
    })

    it('writes nothing of a batch that holds something it cannot store', async () => {
      const error = await failure(
        store.batch([
          { type: 'put', key: 'a', value: 1 },
          { type: 'put', key: 'b', value: () => 1 },
        ]),
      )
      expect(error).to.include({ code: 'STORE_VALUE_INVALID' })
      expect(error.message).to.contain('"b"')
      expect(await store.get('a')).to.equal(undefined)
    })

    const bad: [string, string, unknown][] = [
      ['an empty key', '', 1],
      ['a lone surrogate in a key', 'a\ud800', 1],
      ['a key of 2000 bytes', 'k'.repeat(2000), 1],
      ['undefined', 'k', undefined],
      ['a Date', 'k', { at: new Date() }],
      ['a Map', 'k', new Map()],
      ['NaN', 'k', [Number.NaN]],
      ['a cycle', 'k', Object.assign([] as unknown[], { 0: 0 })],
    ]
    const cycle: unknown[] = []
    cycle.push(cycle)
    bad[bad.length - 1] = ['a cycle', 'k', cycle]
    for (const [what, key, value] of bad) {
      it(`refuses ${what}`, async () => {
        expect(await failure(store.put(key, value))).to.include({ code: 'STORE_VALUE_INVALID' })
      })
    }

    it('keeps names that every object has', async () => {
      const value = JSON.parse('{"__proto__":{"x":1},"hasOwnProperty":2}')
      await store.put('a', value)
      const read = await store.get('a')
      expect(Object.keys(read as object)).to.have.members(['__proto__', 'hasOwnProperty'])
      expect((read as { x?: number }).x).to.equal(undefined)
    })

    it('orders keys by their UTF-8 bytes and bounds them', async () => {
      const all = ['a', 'a/1', 'a/10', 'a/2', 'a0', 'b', 'é', '\uffff', '😀']
      await store.batch(all.toReversed().map((key) => ({ type: 'put', key, value: 1 })))
      expect(await keys()).to.deep.equal(all)
      expect(await keys({ reverse: true })).to.deep.equal(all.toReversed())
      expect(await keys({ prefix: 'a/' })).to.deep.equal(['a/1', 'a/10', 'a/2'])
      expect(await keys({ prefix: 'a/', reverse: true, limit: 1 })).to.deep.equal(['a/2'])
      expect(await keys({ prefix: 'a/', gt: 'a/1' })).to.deep.equal(['a/10', 'a/2'])
      expect(await keys({ gte: 'b', lt: '😀' })).to.deep.equal(['b', 'é', '\uffff'])
      expect(await keys({ gt: 'a0', lte: 'é' })).to.deep.equal(['b', 'é'])
      expect(await keys({ limit: 2 })).to.deep.equal(['a', 'a/1'])
      expect(await keys({ limit: 0 })).to.deep.equal([])
      expect(await keys({ gt: 'x', lt: 'c' })).to.deep.equal([])
    })

    it('lists what was there when the iteration started', async () => {
      await store.batch(['a', 'b', 'c'].map((key) => ({ type: 'put', key, value: 1 })))
      const seen: string[] = []
      for await (const [key] of store.entries()) {
        if (seen.length === 0) {
          await store.delete('b')
          await store.put('d', 1)
        }
        seen.push(key)
      }
      expect(seen).to.deep.equal(['a', 'b', 'c'])
      expect(await keys()).to.deep.equal(['a', 'c', 'd'])
    })

    it('ends an iteration when its signal aborts', async () => {
      await store.batch(['a', 'b', 'c'].map((key) => ({ type: 'put', key, value: 1 })))
      const controller = new AbortController()
      const seen: string[] = []
      const reading = (async () => {
        for await (const [key] of store.entries({ signal: controller.signal })) {
          seen.push(key)
          controller.abort(new Error('enough'))
        }
      })()
      expect((await failure(reading)).message).to.equal('enough')
      expect(seen).to.deep.equal(['a'])
    })

    it('closes after the writes it took, refuses all later use, closes twice', async () => {
      const writes = Array.from({ length: 100 }, (_, n) => store.put(`k${n}`, n))
      const closed = store.close()
      await Promise.all([...writes, closed, store.close()])
      for (const use of [
        store.get('k0'),
        store.put('a', 1),
        store.delete('a'),
        collect(store.entries()),
      ]) {
        expect(await failure(use)).to.include({ code: 'STORE_CLOSED' })
      }
    })

    it('property: behaves as a map that lists its keys in order', async () => {
      const key = fc.string({ minLength: 1, maxLength: 3, unit: 'binary' })
      const operation = fc.oneof(
        fc.record({ type: fc.constant('put' as const), key, value: fc.integer() }),
        fc.record({ type: fc.constant('del' as const), key }),
      )
      const bounds = fc.record({ gte: key, lt: key }, { requiredKeys: [] })
      await fc.assert(
        fc.asyncProperty(fc.array(fc.array(operation)), bounds, async (batches, range) => {
          for (const name of await keys()) await store.delete(name)
          const model = new Map<string, number>()
          const writes = batches.map((batch) => store.batch(batch))
          for (const item of batches.flat()) {
            if (item.type === 'put') model.set(item.key, item.value)
            else model.delete(item.key)
          }
          await Promise.all(writes)
          const order = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b))
          const expected = [...model]
            .filter(([name]) => range.gte === undefined || order(name, range.gte) >= 0)
            .filter(([name]) => range.lt === undefined || order(name, range.lt) < 0)
            .sort(([a], [b]) => order(a, b))
          expect(await collect(store.entries(range))).to.deep.equal(expected)
        }),
        { numRuns: 50 },
      )
    })
  })
}
