/** API keys: found without a walk, ended at once, their use noted without a wait. */
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { expect } from 'chai'
import { silentLogger } from '../../protocol/log/index.ts'
import { createMemoryStore, type Store } from '../../protocol/store/index.ts'
import { KeyIndex } from './key-index.ts'
import { type KeyRing, openKeyRing } from './key-ring.ts'

const grant = {
  to: 'organization' as const,
  organizationId: randomUUID(),
  scopes: ['read' as const],
}

describe('coordinator/tenants: keys', () => {
  let store: Store
  let nowMs: number
  let writes: string[]
  const open = (): Promise<KeyRing> =>
    openKeyRing({ store, nowMs: () => nowMs, logger: silentLogger })
  beforeEach(() => {
    nowMs = 1_700_000_000_000
    writes = []
    const memory = createMemoryStore()
    store = {
      ...memory,
      batch(operations) {
        writes.push(...operations.map(({ key }) => key.split('/')[0] ?? ''))
        return memory.batch(operations)
      },
      delete: (key) => memory.delete(key),
    }
  })

  it('compares with one key of ten thousand, and none for a key that is wrong', () => {
    const index = new KeyIndex<{ id: string; hash: Buffer }>()
    const hashes = Array.from({ length: 10_000 }, (_, at) =>
      createHash('sha256').update(String(at)).digest(),
    )
    for (const [id, hash] of hashes.entries()) index.add({ id: String(id), hash })
    for (const [id, hash] of hashes.entries()) {
      expect(index.candidates(hash)).to.have.length(1)
      expect(index.find(hash)?.id).to.equal(String(id))
    }
    expect(index.candidates(randomBytes(32))).to.have.length(0)
  })

  it('tells keys apart that share a prefix, and forgets one of them', () => {
    const index = new KeyIndex<{ id: string; hash: Buffer }>()
    const twins = [1, 2].map((byte) => ({ id: `${byte}`, hash: Buffer.alloc(32, 7) }))
    twins[1]!.hash[31] = 8
    for (const twin of twins) index.add(twin)
    expect(index.candidates(twins[0]!.hash)).to.have.length(2)
    for (const twin of twins) expect(index.find(twin.hash)).to.equal(twin)
    index.remove(twins[0]!)
    expect(index.find(twins[0]!.hash)).to.equal(undefined)
    expect(index.find(twins[1]!.hash)).to.equal(twins[1])
    index.remove(twins[1]!)
    expect(index.candidates(twins[0]!.hash)).to.have.length(0)
  })

  it('ends a revoked key before the disk has answered, and over a restart', async () => {
    const ring = await open()
    const { id, key } = await ring.make(grant, { label: '' })
    expect(ring.use(key)?.id).to.equal(id)
    const revoking = ring.revoke(id)
    expect(ring.use(key)).to.equal(undefined)
    await revoking
    expect((await open()).use(key)).to.equal(undefined)
  })

  it('is not ended by a disk that refuses', async () => {
    const ring = await open()
    const { id, key } = await ring.make(grant, { label: '' })
    store.batch = () => Promise.reject(new Error('full'))
    expect(await ring.revoke(id).catch(({ message }) => message)).to.equal('full')
    expect(ring.use(key)?.id).to.equal(id)
  })

  it('lets a key end at its time', async () => {
    const ring = await open()
    const { key } = await ring.make(grant, { label: '', expiresMs: nowMs + 1_000 })
    nowMs += 999
    expect(ring.use(key)).to.not.equal(undefined)
    nowMs += 1
    expect(ring.use(key)).to.equal(undefined)
  })

  it('remembers that a file’s key was revoked, whatever the file says', async () => {
    const key = 'a-key-of-a-file-of-the-operator'
    const ring = await open()
    const { id } = await ring.accept(grant, key, 'file')
    await ring.revoke(id)
    for (const each of [ring, await open()]) {
      expect((await each.accept(grant, key, 'file')).revokedMs).to.equal(nowMs)
      expect(each.use(key)).to.equal(undefined)
      expect(each.get(id).revokedMs).to.equal(nowMs)
    }
  })

  it('wants more of a key that opens the admin API', async () => {
    const ring = await open()
    const problem = await ring
      .accept({ to: 'admin' }, 'only-31-characters-are-not-many', '')
      .catch(({ message }) => message)
    expect(problem).to.contain('32 to 512')
    await ring.accept({ to: 'admin' }, 'but-32-characters-are-long-enough', '')
    const other = await ring
      .accept(grant, 'but-32-characters-are-long-enough', '')
      .catch(({ code }) => code)
    expect(other).to.equal('API_KEY_INVALID')
  })

  describe('last used', () => {
    it('is written once a minute at most, not once a use', async () => {
      const ring = await open()
      const { id, key } = await ring.make(grant, { label: '' })
      writes = []
      for (let at = 0; at < 1_000; at++) {
        ring.use(key)
        nowMs += 100
      }
      expect(writes).to.deep.equal(['api-key-uses', 'api-key-uses'])
      await new Promise((resolve) => setImmediate(resolve))
      const firstMs = 1_700_000_000_000
      expect(ring.get(id).lastUsedMs).to.equal(firstMs + 60_000)
      expect((await open()).get(id).lastUsedMs).to.equal(firstMs + 60_000)
    })

    it('makes no request wait or fail, and brings no revoked key back', async () => {
      const ring = await open()
      const { id, key } = await ring.make(grant, { label: '' })
      const { batch } = store
      const held = Promise.withResolvers<void>()
      store.batch = async (operations) => {
        if (operations.length === 1) await held.promise
        return batch(operations)
      }
      expect(ring.use(key)?.id).to.equal(id)
      await ring.revoke(id)
      held.resolve()
      await new Promise((resolve) => setImmediate(resolve))
      expect(ring.use(key)).to.equal(undefined)
      const again = await open()
      expect([again.use(key), again.all()]).to.deep.equal([undefined, []])
      for await (const [name] of store.entries()) expect.fail(`${name} is left`)
    })
  })
})
