import { expect } from 'chai'
import Type from 'typebox'
import { collection, createMemoryStore } from './index.ts'
import { collect, failure } from './store.conformance.ts'

const schema = Type.Object({
  epoch: Type.Integer({ minimum: 1 }),
  note: Type.Optional(Type.String()),
})

describe('protocol/store: collection', () => {
  it('keeps its records apart from those of collections with similar names', async () => {
    const store = createMemoryStore()
    const slots = collection(store, 'slot', schema)
    const others = collection(store, 'slots', schema)
    await slots.put('g/1', { epoch: 1 })
    await others.put('g/1', { epoch: 9 })
    await slots.put('g/2', { epoch: 2, note: 'x' })
    expect(await slots.get('g/1')).to.deep.equal({ epoch: 1 })
    expect(await slots.get('g/9')).to.equal(undefined)
    expect(await collect(slots.entries())).to.deep.equal([
      ['g/1', { epoch: 1 }],
      ['g/2', { epoch: 2, note: 'x' }],
    ])
    expect(await collect(slots.entries({ gt: 'g/1' }))).to.have.length(1)
    expect(await collect(slots.entries({ prefix: 'h/' }))).to.have.length(0)
    await slots.delete('g/1')
    expect(await collect(slots.entries({ lte: 'g/1' }))).to.have.length(0)
    expect(await others.get('g/1')).to.deep.equal({ epoch: 9 })
  })

  it('changes several collections as one', async () => {
    const store = createMemoryStore()
    const a = collection(store, 'a', schema)
    const b = collection(store, 'b', schema)
    await a.put('k', { epoch: 1 })
    await store.batch([a.deleteOperation('k'), b.putOperation('k', { epoch: 2 })])
    expect(await a.get('k')).to.equal(undefined)
    expect(await b.get('k')).to.deep.equal({ epoch: 2 })
  })

  it('names the key, the place and the rule of a record that does not fit, not its value', async () => {
    const store = createMemoryStore()
    const slots = collection(store, 'slot', schema)
    await store.put('slot/g/1', { epoch: 0, note: 'CANARY' })
    for (const reading of [slots.get('g/1'), collect(slots.entries())]) {
      const error = await failure(reading)
      expect(error).to.include({ code: 'STORE_RECORD_CORRUPT' })
      expect(error.message).to.contain('"slot/g/1"').and.contain('/epoch').and.contain('>= 1')
      expect(error.message).not.to.contain('CANARY')
    }
  })

  it('refuses to write what it would refuse to read, and names that are none', async () => {
    const store = createMemoryStore()
    const slots = collection(store, 'slot', schema)
    const error = await failure(slots.put('g/1', { epoch: 1.5 }))
    expect(error).to.include({ code: 'STORE_VALUE_INVALID' })
    expect(await collect(store.entries())).to.deep.equal([])
    expect(() => collection(store, 'a/b', schema)).to.throw('a name must match')
  })
})
