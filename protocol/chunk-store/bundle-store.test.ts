import { open, readdir, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { expect } from 'chai'
import fc from 'fast-check'
import { type SampleBundle, sampleBlob, sampleBundle } from '../bundle/sample-bundle.ts'
import { createTemporaryStore, type TemporaryStore } from './temporary-store.ts'
import type { BundleStore, StoredBundle } from './types.ts'

const KiB64 = 64 * 1024
const forever = new AbortController().signal

describe('the chunk store', () => {
  let folder: TemporaryStore
  beforeEach(async () => {
    folder = await createTemporaryStore()
  })
  afterEach(() => folder.remove())

  it('returns what was put, and says so once', async () => {
    const bundle = await sampleBundle([2, 3 * KiB64 + 1])
    const store = await folder.open()
    const stored = await store.add(bundle.descriptorBytes)
    const heard: number[] = []
    stored.onHeld((chunk) => heard.push(chunk))
    expect([stored.id, stored.complete]).to.deep.equal([bundle.id, false])
    for (const [chunk, bytes] of bundle.chunks.entries()) {
      expect(await stored.put(chunk, bytes)).to.equal('stored')
      expect(await stored.put(chunk, bytes)).to.equal('held')
      expect(Buffer.from(await stored.read(chunk)).equals(bytes)).to.equal(true)
    }
    expect(heard).to.deep.equal([0, 1, 2, 3, 4])
    expect(stored.complete).to.equal(true)
    await expectHonest(folder, store)
    expect(store.usedBytes).to.be.at.least(
      stored.layout.travelBytes + bundle.descriptorBytes.length,
    )
  })

  it('stores a chunk once when two peers bring it at the same time', async () => {
    const bundle = await sampleBundle([10])
    const stored = await (await folder.open()).add(bundle.descriptorBytes)
    const results = await Promise.all([
      stored.put(0, bundle.chunks[0]!),
      stored.put(0, bundle.chunks[0]!),
    ])
    expect(results.toSorted()).to.deep.equal(['held', 'stored'])
  })

  it('refuses bytes that are not the chunk', async () => {
    const bundle = await sampleBundle([KiB64 * 2])
    const stored = await (await folder.open()).add(bundle.descriptorBytes)
    const flipped = Buffer.from(bundle.chunks[0]!)
    flipped[9]! ^= 1
    for (const wrong of [flipped, bundle.chunks[1]!, flipped.subarray(1), new Uint8Array()]) {
      expect(await codeOf(stored.put(0, wrong))).to.equal('WRONG_CHUNK')
    }
    expect(stored.held.count).to.equal(0)
    expect(await codeOf(stored.read(0))).to.equal('CHUNK_NOT_HELD')
  })

  it('comes back with all that was put, whether it was closed or killed', async () => {
    const bundle = await sampleBundle([2, 9 * KiB64])
    for (const killed of [false, true]) {
      const store = await folder.open()
      const stored = await store.add(bundle.descriptorBytes)
      await putAll(stored, bundle, killed ? [1, 3, 8] : [0, 9])
      if (!killed) await store.close()
    }
    const again = (await folder.open()).get(bundle.id)!
    expect([...again.held.runs()].map(({ start }) => start)).to.deep.equal([0, 3, 8])
    for (const chunk of [0, 1, 3, 8, 9]) await again.read(chunk)
    expect(again.held.count).to.equal(5)
  })

  it('does not serve a chunk that rotted, says so, and takes it again', async () => {
    const bundle = await sampleBundle([KiB64 * 3])
    const stored = await (await folder.open()).add(bundle.descriptorBytes)
    await putAll(stored, bundle)
    await spoil(folder, bundle, 1)
    const lost: number[] = []
    stored.onLost((chunk) => lost.push(chunk))
    expect(await codeOf(stored.read(1))).to.equal('CHUNK_ROTTEN')
    expect([lost, stored.complete]).to.deep.equal([[1], false])
    expect(await stored.put(1, bundle.chunks[1]!)).to.equal('stored')
    expect(Buffer.from(await stored.read(1)).equals(bundle.chunks[1]!)).to.equal(true)
  })

  it('verifies everything after a reboot, and nothing after a mere restart', async () => {
    const bundle = await sampleBundle([KiB64 * 3])
    const first = await folder.open({ bootId: 'boot 1' })
    await putAll(await first.add(bundle.descriptorBytes), bundle)
    await first.close()
    await spoil(folder, bundle, 2)
    const second = await folder.open({ bootId: 'boot 1' })
    await second.whenVerified()
    expect(second.get(bundle.id)!.complete).to.equal(true)
    await second.close()
    const third = await folder.open({ bootId: 'boot 2' })
    await third.whenVerified()
    expect([...third.get(bundle.id)!.held.missing()]).to.deep.equal([2])
  })

  it('stores a blob of two bundles once, until both are gone', async () => {
    const shared = await sampleBlob(KiB64 * 2, 'shared')
    const one = await sampleBundle([shared, 5])
    const two = await sampleBundle([shared, 6])
    const store = await folder.open()
    const emptyBytes = store.usedBytes
    await putAll(await store.add(one.descriptorBytes), one)
    const second = await store.add(two.descriptorBytes)
    expect([...second.held.missing()]).to.deep.equal([2])
    await second.put(2, two.chunks[2]!)
    const bothBytes = store.usedBytes
    await store.remove(one.id)
    expect(store.get(one.id)).to.equal(undefined)
    expect(store.usedBytes).to.be.within(emptyBytes + second.layout.travelBytes, bothBytes - 1)
    await expectHonest(folder, store)
    expect((await second.read(0)).length).to.equal(KiB64 + 16)
    await store.remove(two.id)
    expect(store.usedBytes).to.equal(emptyBytes)
    expect(await readdir(join(folder.root, 'blobs'))).to.deep.equal([])
    expect(await readdir(join(folder.root, 'descriptors'))).to.deep.equal([])
  })

  it('tells every bundle of a shared blob that a chunk came', async () => {
    const shared = await sampleBlob(KiB64, 'shared')
    const one = await sampleBundle([shared, 5])
    const two = await sampleBundle([6, shared])
    const store = await folder.open()
    const [first, second] = [
      await store.add(one.descriptorBytes),
      await store.add(two.descriptorBytes),
    ]
    const arrival = second.whenHeld(1, { signal: forever })
    await first.put(0, one.chunks[0]!)
    await arrival
    expect(second.held.has(1)).to.equal(true)
  })

  it('evicts the least recently useful bundle, never one that is pinned, and says so', async () => {
    const bundles = await Promise.all([1, 2, 3].map((n) => sampleBundle([KiB64], `bundle ${n}`)))
    const [one, two, three] = bundles as [SampleBundle, SampleBundle, SampleBundle]
    const store = await folder.open()
    const emptyBytes = store.usedBytes
    const removed: string[] = []
    store.onRemoved((id) => removed.push(id))
    await putAll(await store.add(one.descriptorBytes), one)
    await putAll(await store.add(two.descriptorBytes), two)
    await store.setBudget(emptyBytes + (store.usedBytes - emptyBytes) * 1.2)
    await store.get(one.id)!.read(0)
    await putAll(await store.add(three.descriptorBytes), three)
    expect(store.bundles().map(({ id }) => id)).to.deep.equal([one.id, three.id])
    expect(removed).to.deep.equal([two.id])
    store.pin(one.id)
    store.pin(three.id)
    expect(await codeOf(store.add(two.descriptorBytes))).to.equal('BUDGET_EXCEEDED')
    expect(store.get(one.id)?.complete).to.equal(true)
    store.unpin(one.id)
    const again = await store.add(two.descriptorBytes)
    expect(await again.put(0, two.chunks[0]!)).to.equal('stored')
    expect(store.get(one.id)).to.equal(undefined)
  })

  it('evicts nothing for a bundle that could never fit', async () => {
    const small = await sampleBundle([KiB64], 'small')
    const huge = await sampleBundle([KiB64 * 8], 'huge')
    const store = await folder.open({ budgetBytes: KiB64 * 6 })
    await putAll(await store.add(small.descriptorBytes), small)
    expect(await codeOf(store.add(huge.descriptorBytes))).to.equal('BUDGET_EXCEEDED')
    expect(store.get(small.id)?.complete).to.equal(true)
  })

  it('keeps a lowered budget at once, or as soon as what is in use is not', async () => {
    const [one, two] = [await sampleBundle([KiB64], 'one'), await sampleBundle([KiB64], 'two')]
    const store = await folder.open()
    await putAll(await store.add(one.descriptorBytes), one)
    await putAll(await store.add(two.descriptorBytes), two)
    store.pin(one.id)
    await store.setBudget(KiB64)
    expect(store.bundles().map(({ id }) => id)).to.deep.equal([one.id])
    const removed = new Promise((resolve) => store.onRemoved(resolve))
    store.unpin(one.id)
    expect(await removed).to.equal(one.id)
    expect(store.usedBytes).to.be.at.most(store.budgetBytes)
    await expectHonest(folder, store)
  })

  it('knows after a restart what was of use last', async () => {
    const [one, two] = [await sampleBundle([1], 'one'), await sampleBundle([1], 'two')]
    const store = await folder.open()
    const fileOf = ({ id }: SampleBundle) => join(folder.root, 'descriptors', `${id}.descriptor`)
    for (const bundle of [one, two]) {
      await putAll(await store.add(bundle.descriptorBytes), bundle)
      await utimes(fileOf(bundle), 1_000, 1_000)
    }
    store.pin(one.id)
    while ((await stat(fileOf(one))).mtimeMs === 1_000_000) await setImmediate()
    await store.close()
    expect((await folder.open()).bundles().map(({ id }) => id)).to.deep.equal([two.id, one.id])
  })

  it('never passes its budget, whatever is put side by side', async () => {
    const bundles = await Promise.all([1, 2, 3, 4].map((n) => sampleBundle([KiB64 * 3], `b ${n}`)))
    const puts = fc.array(fc.tuple(fc.nat(3), fc.nat(2)), { minLength: 1, maxLength: 25 })
    await fc.assert(
      fc.asyncProperty(puts, async (all) => {
        const own = await createTemporaryStore()
        try {
          const store = await own.open({ budgetBytes: 6 * KiB64 })
          const outcomes = all.map(async ([which, chunk]) => {
            const bundle = bundles[which]!
            const stored = await store.add(bundle.descriptorBytes)
            await stored.put(chunk, bundle.chunks[chunk]!)
          })
          const codes = await Promise.all(outcomes.map((outcome) => codeOf(outcome)))
          const expected = [undefined, 'BUDGET_EXCEEDED', 'BUNDLE_REMOVED']
          for (const code of codes) expect(expected).to.include(code)
          expect(store.usedBytes).to.be.at.most(store.budgetBytes)
          await expectHonest(own, store)
          const before = store.usedBytes
          await store.close()
          expect((await own.open()).usedBytes).to.equal(before)
        } finally {
          await own.remove()
        }
      }),
      { numRuns: 15 },
    )
  })

  it('ends every wait: by signal, by removal, by closing', async () => {
    const bundle = await sampleBundle([1], 'one')
    const other = await sampleBundle([1], 'other')
    const store = await folder.open()
    const stored = await store.add(bundle.descriptorBytes)
    const lasting = await store.add(other.descriptorBytes)
    const controller = new AbortController()
    const waits = [
      codeOf(stored.whenHeld(0, { signal: controller.signal })),
      codeOf(stored.whenHeld(0, { signal: forever })),
      codeOf(lasting.whenHeld(0, { signal: forever })),
    ]
    controller.abort(Object.assign(new Error('enough'), { code: 'ENOUGH' }))
    await store.remove(bundle.id)
    await store.close()
    expect(await Promise.all(waits)).to.deep.equal(['ENOUGH', 'BUNDLE_REMOVED', 'STORE_CLOSED'])
    expect(await codeOf(stored.put(0, bundle.chunks[0]!))).to.equal('BUNDLE_REMOVED')
    expect(await codeOf(lasting.read(0))).to.equal('STORE_CLOSED')
    expect(await codeOf(store.add(bundle.descriptorBytes))).to.equal('STORE_CLOSED')
  })

  it('keeps its folder to this user, and removes what belongs to nothing', async () => {
    const bundle = await sampleBundle([1])
    const store = await folder.open()
    await putAll(await store.add(bundle.descriptorBytes), bundle)
    await store.close()
    const strays = [`blobs/${'ab'.repeat(32)}.chunks`, 'blobs/x.tmp', 'descriptors/y.tmp']
    const damaged = `descriptors/${'cd'.repeat(32)}.descriptor`
    for (const stray of [...strays, damaged])
      await (await open(join(folder.root, stray), 'w')).close()
    const again = await folder.open()
    expect(again.bundles().map(({ id }) => id)).to.deep.equal([bundle.id])
    expect(await readdir(join(folder.root, 'descriptors'))).to.have.length(1)
    expect(await readdir(join(folder.root, 'blobs'))).to.have.length(2)
    for (const path of ['', 'blobs', 'descriptors']) {
      expect((await stat(join(folder.root, path))).mode & 0o777).to.equal(0o700)
    }
    const chunks = await stat(folder.chunksFile(bundle.blobs[0]!.id))
    expect(chunks.mode & 0o777).to.equal(0o600)
  })

  it('works on more blobs than it may open files', async () => {
    const bundle = await sampleBundle(Array.from({ length: 20 }, (_, n) => n))
    const stored = await (await folder.open({ openFilesMax: 2 })).add(bundle.descriptorBytes)
    await Promise.all(bundle.chunks.map((bytes, chunk) => stored.put(chunk, bytes)))
    await Promise.all(bundle.chunks.map((_, chunk) => stored.read(chunk)))
    expect(stored.complete).to.equal(true)
  })

  it('refuses two descriptors that name the chunks of one blob otherwise', async () => {
    const blob = await sampleBlob(1)
    const other = { ...blob, names: Buffer.alloc(32, 1) }
    const store = await folder.open()
    await store.add((await sampleBundle([blob])).descriptorBytes)
    const conflict = store.add((await sampleBundle([other])).descriptorBytes)
    expect(await codeOf(conflict)).to.equal('BLOB_CONFLICT')
    expect(await codeOf(store.add(new Uint8Array(9)))).to.equal('MALFORMED_DESCRIPTOR')
  })
})

async function putAll(stored: StoredBundle, bundle: SampleBundle, only?: number[]): Promise<void> {
  for (const chunk of only ?? bundle.chunks.keys()) await stored.put(chunk, bundle.chunks[chunk]!)
}

async function spoil(folder: TemporaryStore, bundle: SampleBundle, index: number): Promise<void> {
  const file = await open(folder.chunksFile(bundle.blobs[0]!.id), 'r+')
  await file.write(Buffer.from('rot'), 0, 3, index * (KiB64 + 16) + 100)
  await file.close()
}

/** The store counts no less than its folder takes, and not much more. */
async function expectHonest(folder: TemporaryStore, store: BundleStore): Promise<void> {
  const diskBytes = await folder.diskBytes()
  const files = (await readdir(folder.root, { recursive: true })).length
  expect(store.usedBytes).to.be.within(diskBytes, diskBytes + 512 * (files + 8) + 2 * 4_096)
}

async function codeOf(promise: Promise<unknown>): Promise<unknown> {
  return await promise.then(
    () => undefined,
    (error: { code?: unknown }) => error.code ?? error,
  )
}
