/**
 * The store against kill -9: a child process writes and says what it was promised; what it had
 * been told was stored must be there, whole, for whoever opens the folder next.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { sampleBlob, sampleBundle } from '../bundle/sample-bundle.ts'
import { createTemporaryStore, type TemporaryStore } from './temporary-store.ts'

const childFile = fileURLToPath(new URL('kill-child.ts', import.meta.url))
const blobBytes = 96 * 64 * 1024

/** Runs the child until it has promised `promisedMin` chunks, then kills it. */
async function killAfter(root: string, work: string, promisedMin: number): Promise<number[]> {
  const args = [childFile, root, work, String(blobBytes)]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  const promised: number[] = []
  for await (const line of createInterface({ input: child.stdout })) {
    promised.push(Number(line))
    if (promised.length === promisedMin) child.kill('SIGKILL')
  }
  await exited
  return promised
}

describe('the chunk store, killed while it writes', function () {
  this.timeout(60_000)
  let folder: TemporaryStore
  beforeEach(async () => {
    folder = await createTemporaryStore()
  })
  afterEach(() => folder.remove())

  it('has every chunk of a bundle that it had promised, whole', async () => {
    const bundle = await sampleBundle([blobBytes])
    const promised = new Set<number>()
    for (const promisedMin of [1, 7, 20]) {
      for (const chunk of await killAfter(folder.root, 'put', promisedMin)) promised.add(chunk)
      const store = await folder.open({ bootId: 'child' })
      const stored = store.get(bundle.id)!
      for (const chunk of promised) expect(stored.held.has(chunk), `chunk ${chunk}`).to.equal(true)
      for (const { start, count } of stored.held.runs()) {
        for (let at = start; at < start + count; at += 1) {
          expect(Buffer.from(await stored.read(at)).equals(bundle.chunks[at]!)).to.equal(true)
        }
      }
      await store.close()
    }
    expect(promised.size).to.be.at.least(28)
  })

  it('goes on with a draft from the last chunk that it had promised', async () => {
    const blob = await sampleBlob(blobBytes, 'draft')
    let heldCount = 0
    for (const promisedMin of [1, 5, 9]) {
      const promised = await killAfter(folder.root, 'draft', promisedMin)
      expect(promised[0]).to.equal(heldCount)
      const store = await folder.open({ bootId: 'child' })
      const draft = await store.createBlobDraft(blob.id, blob.sizeBytes, blob.chunkSizeBytes)
      heldCount = draft.heldCount
      expect(heldCount).to.be.at.least(promised.at(-1)! + 1)
      for (let index = 0; index < heldCount; index += 1) {
        expect(Buffer.from(await draft.read(index)).equals(blob.chunks[index]!)).to.equal(true)
      }
      await store.close()
    }
  })
})
