import { open, readdir, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { encryptBlob, resumeFrom } from '../bundle/index.ts'
import { inPieces, type SampleBlob, sampleBlob, sampleBundle } from '../bundle/sample-bundle.ts'
import { createTemporaryStore, type TemporaryStore } from './temporary-store.ts'
import type { BlobDraft, BundleStore } from './types.ts'

const KiB64 = 64 * 1024

describe('a draft of a blob', () => {
  let folder: TemporaryStore
  let blob: SampleBlob
  beforeEach(async () => {
    folder = await createTemporaryStore()
    blob = await sampleBlob(5 * KiB64 + 9)
  })
  afterEach(() => folder.remove())

  it('becomes the blob that a descriptor lists, without another write', async () => {
    const store = await folder.open()
    const draft = await draftOf(store, blob)
    await append(draft, blob)
    const finished = await draft.finish()
    expect(Buffer.from(finished.names).equals(blob.names)).to.equal(true)
    const bundle = await sampleBundle([2, { ...blob, ...finished }])
    const stored = await store.add(bundle.descriptorBytes)
    expect([...stored.held.missing()]).to.deep.equal([0])
    expect(Buffer.from(await stored.read(3)).equals(blob.chunks[2]!)).to.equal(true)
    expect(await codeOf(draft.read(0))).to.equal('DRAFT_CLOSED')
    expect(await filesOf(folder)).to.deep.equal(['chunks', 'held'])
    await store.close()
    expect((await folder.open()).get(bundle.id)!.held.count).to.equal(blob.chunkCount)
  })

  it('goes on where a killed process was, and the hash with it', async () => {
    await append(await draftOf(await folder.open(), blob), blob, 0, 3)
    const draft = await draftOf(await folder.open(), blob)
    expect(draft.heldCount).to.equal(3)
    const resume = await resumeFrom(blob, draft)
    const rest = inPieces(blob.plaintext.subarray(resume.fromChunk * KiB64))
    for await (const { index, bytes, name } of encryptBlob(rest, { ...blob, resume })) {
      await draft.append(index, bytes, name)
    }
    expect(Buffer.from((await draft.finish()).names).equals(blob.names)).to.equal(true)
  })

  it('is whole again after a restart between its end and its bundle', async () => {
    const first = await draftOf(await folder.open(), blob)
    await append(first, blob)
    const again = await draftOf(await folder.open(), blob)
    expect(again.heldCount).to.equal(blob.chunkCount)
    expect(Buffer.from((await again.finish()).names).equals(blob.names)).to.equal(true)
  })

  it('trusts no chunk behind one that a power cut took', async () => {
    const store = await folder.open({ bootId: 'boot 1' })
    await append(await draftOf(store, blob), blob)
    await store.close()
    const file = await open(folder.chunksFile(blob.id), 'r+')
    await file.write(Buffer.alloc(10), 0, 10, 2 * (KiB64 + 16) + 5)
    await file.close()
    const draft = await draftOf(await folder.open({ bootId: 'boot 2' }), blob)
    expect(draft.heldCount).to.equal(2)
    await append(draft, blob, 2)
    expect(Buffer.from((await draft.finish()).names).equals(blob.names)).to.equal(true)
  })

  it('survives names or bits that were cut off', async () => {
    const store = await folder.open()
    await append(await draftOf(store, blob), blob)
    await store.close()
    const names = join(folder.root, 'blobs', `${blob.id}.names`)
    await truncate(names, 16 + 4 * 32 + 7)
    const again = await folder.open()
    const draft = await draftOf(again, blob)
    expect(draft.heldCount).to.equal(4)
    await again.close()
    await truncate(names, 9)
    const last = await folder.open()
    expect((await draftOf(last, blob)).heldCount).to.equal(0)
    expect(await filesOf(folder)).to.deep.equal(['names'])
  })

  it('is one at a time, of one size', async () => {
    const store = await folder.open()
    const draft = await draftOf(store, blob)
    expect(await codeOf(draftOf(store, blob))).to.equal('DRAFT_IN_USE')
    expect(await codeOf(store.discardDraft(blob.id))).to.equal('DRAFT_IN_USE')
    expect(await codeOf(draft.finish())).to.equal('DRAFT_INCOMPLETE')
    await draft.release()
    expect(await codeOf(draftOf(store, { ...blob, sizeBytes: 7 }))).to.equal('BLOB_CONFLICT')
    const wrongCut = draftOf(store, { ...blob, chunkSizeBytes: 2 * KiB64 })
    expect(await codeOf(wrongCut)).to.equal('BLOB_CONFLICT')
  })

  it('leaves nothing when it is discarded', async () => {
    const store = await folder.open()
    const emptyBytes = store.usedBytes
    const draft = await draftOf(store, blob)
    await append(draft, blob, 0, 2)
    await draft.discard()
    expect([store.usedBytes, await filesOf(folder)]).to.deep.equal([emptyBytes, []])
    const second = await draftOf(store, blob)
    await append(second, blob, 0, 2)
    await second.release()
    await store.discardDraft(blob.id)
    expect([store.usedBytes, await filesOf(folder)]).to.deep.equal([emptyBytes, []])
  })

  it('is evicted only when nobody has it open', async () => {
    const store = await folder.open({ budgetBytes: 7 * KiB64 })
    const draft = await draftOf(store, blob)
    await append(draft, blob, 0, 5)
    const bundle = await sampleBundle([KiB64, KiB64])
    expect(await codeOf(store.add(bundle.descriptorBytes))).to.equal('BUDGET_EXCEEDED')
    await draft.release()
    const stored = await store.add(bundle.descriptorBytes)
    expect(await stored.put(0, bundle.chunks[0]!)).to.equal('stored')
    expect(await stored.put(1, bundle.chunks[1]!)).to.equal('stored')
    expect((await draftOf(store, blob)).heldCount).to.equal(0)
  })

  it('fills the hole of a stored blob, and refuses another content', async () => {
    const store = await folder.open()
    const bundle = await sampleBundle([blob])
    const stored = await store.add(bundle.descriptorBytes)
    for (const chunk of [0, 1, 3, 4, 5]) await stored.put(chunk, bundle.chunks[chunk]!)
    const draft = await draftOf(store, blob)
    expect(draft.heldCount).to.equal(2)
    const wrong = draft.append(2, blob.chunks[2]!, Buffer.alloc(32))
    expect(await codeOf(wrong)).to.equal('WRONG_CHUNK')
    await append(draft, blob, 2)
    await draft.finish()
    await draft.discard()
    expect(stored.complete).to.equal(true)
  })

  it('outlives the bundle that brought its first chunks, also over a kill', async () => {
    const store = await folder.open()
    const bundle = await sampleBundle([blob])
    const stored = await store.add(bundle.descriptorBytes)
    for (const chunk of [0, 1, 4]) await stored.put(chunk, bundle.chunks[chunk]!)
    const draft = await draftOf(store, blob)
    await store.remove(bundle.id)
    expect(draft.heldCount).to.equal(2)
    await append(draft, blob, 2, 3)
    const again = await draftOf(await folder.open(), blob)
    expect(again.heldCount).to.equal(3)
    await append(again, blob, 3)
    expect(Buffer.from((await again.finish()).names).equals(blob.names)).to.equal(true)
  })

  it('drops what a descriptor names otherwise', async () => {
    const store = await folder.open()
    const draft = await draftOf(store, blob)
    await append(draft, blob)
    await draft.release()
    const names = Buffer.from(blob.names)
    names.fill(7, 32, 64)
    const bundle = await sampleBundle([{ ...blob, names }])
    expect([...(await store.add(bundle.descriptorBytes)).held.missing()]).to.deep.equal([1])
  })
})

function draftOf(store: BundleStore, blob: SampleBlob): Promise<BlobDraft> {
  return store.createBlobDraft(blob.id, blob.sizeBytes, blob.chunkSizeBytes)
}

async function append(draft: BlobDraft, blob: SampleBlob, from = 0, to = blob.chunkCount) {
  for (let index = from; index < to; index += 1) {
    const name = blob.names.subarray(index * 32, (index + 1) * 32)
    await draft.append(index, blob.chunks[index]!, name)
  }
}

async function filesOf(folder: TemporaryStore): Promise<string[]> {
  const names = await readdir(join(folder.root, 'blobs'))
  return names.map((name) => name.split('.')[1]!).toSorted()
}

async function codeOf(promise: Promise<unknown>): Promise<unknown> {
  return await promise.then(
    () => undefined,
    (error: { code?: unknown }) => error.code ?? error,
  )
}
