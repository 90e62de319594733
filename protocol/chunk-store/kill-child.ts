/** The process that kill.test.ts kills: writes to a store and prints what it was promised. */
import { writeSync } from 'node:fs'
import pLimit from 'p-limit'
import { sampleBlob, sampleBundle } from '../bundle/sample-bundle.ts'
import { silentLogger } from '../log/types.ts'
import { openBundleStore } from './bundle-store.ts'

const [root = '', work, sizeText] = process.argv.slice(2)
const sizeBytes = Number(sizeText)
const store = await openBundleStore(
  { root, budgetBytes: 2 ** 30 },
  { logger: silentLogger, bootId: () => 'child' },
)
// Written at once: a promise that sat in a buffer would not be one.
const promise = (chunk: number): unknown => writeSync(1, `${chunk}\n`)

if (work === 'put') {
  const bundle = await sampleBundle([sizeBytes])
  const stored = await store.add(bundle.descriptorBytes)
  const sideBySide = pLimit(4)
  await sideBySide.map(stored.held.missing(), async (chunk) => {
    const bytes = bundle.chunks[chunk]
    if (bytes) await stored.put(chunk, bytes)
    promise(chunk)
  })
} else {
  const blob = await sampleBlob(sizeBytes, 'draft')
  const draft = await store.createBlobDraft(blob.id, blob.sizeBytes, blob.chunkSizeBytes)
  for (let index = draft.heldCount; index < blob.chunkCount; index += 1) {
    const name = blob.names.subarray(index * 32, (index + 1) * 32)
    await draft.append(index, blob.chunks[index] ?? new Uint8Array(), name)
    promise(index)
  }
}
await store.close()
