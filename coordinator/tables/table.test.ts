import { expect } from 'chai'
import Type from 'typebox'
import { createMemoryStore, type Store } from '../../protocol/store/index.ts'
import { commit, openTable } from './index.ts'

const Schema = Type.Object({ id: Type.String(), name: Type.String() })
const open = (store: Store) =>
  openTable('things', Schema, { store, keyOf: ({ id }) => id, nameOf: ({ name }) => name })

describe('coordinator/tables', () => {
  it('finds by key and by name, also after a restart', async () => {
    const store = createMemoryStore()
    const table = await open(store)
    await table.put({ id: '1', name: 'fork' })
    for (const each of [table, await open(store)]) {
      expect(each.get('1')).to.deep.equal({ id: '1', name: 'fork' })
      expect(each.byName('fork')).to.deep.equal({ id: '1', name: 'fork' })
      expect(each.size).to.equal(1)
    }
    await table.delete('1')
    for (const each of [table, await open(store)]) expect(each.byName('fork')).to.equal(undefined)
  })

  it('takes a name, and lets a record go, before the disk has answered', async () => {
    const store = createMemoryStore()
    const table = await open(store)
    const putting = table.put({ id: '1', name: 'fork' })
    expect([table.isTaken('fork'), table.byName('fork')]).to.deep.equal([true, undefined])
    await putting
    const deleting = table.delete('1')
    expect(table.get('1')).to.equal(undefined)
    await deleting
  })

  it('is as before when the disk refuses', async () => {
    const store = createMemoryStore()
    const table = await open(store)
    await table.put({ id: '1', name: 'fork' })
    const broken: Store = { ...store, batch: () => Promise.reject(new Error('full')) }
    const changes = [table.deleting('1'), table.putting({ id: '2', name: 'knife' })]
    expect(await commit(broken, changes).catch(({ message }) => message)).to.equal('full')
    expect(table.all()).to.deep.equal([{ id: '1', name: 'fork' }])
    expect(table.isTaken('knife')).to.equal(false)
  })

  it('leaves nothing behind of a change that a deletion overtook', async () => {
    const table = await open(createMemoryStore())
    await table.put({ id: '1', name: 'fork' })
    await Promise.all([table.put({ id: '1', name: 'fork' }), table.delete('1')])
    expect(table.all()).to.deep.equal([])
    expect(table.isTaken('fork')).to.equal(false)
  })
})
