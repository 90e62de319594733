import { expect } from 'chai'
import { blobIdFor, chunkSizeFor } from '../../protocol/bundle/index.ts'
import type { Digest } from '../../protocol/ids.ts'
import { createMemoryStore } from '../../protocol/store/index.ts'
import { createSealer } from '../secrets/index.ts'
import { blobName, openBlobKeys } from './blob-keys.ts'

const digest = `sha256:${'a'.repeat(64)}` as Digest
const honest = { digest, sizeBytes: 1_000 }
const lied = { digest, sizeBytes: 1_001 }

describe('coordinator/images/blob-keys', () => {
  const open = () =>
    openBlobKeys({
      store: createMemoryStore(),
      sealer: createSealer([{ id: '00000001', key: Buffer.alloc(32, 7) }]),
    })
  const idOf = (key: Uint8Array, { sizeBytes }: typeof honest) =>
    blobIdFor(key, digest, chunkSizeFor(sizeBytes))

  it('gives a blob of another size, though cut alike, another key and another id', async () => {
    expect(chunkSizeFor(honest.sizeBytes)).to.equal(chunkSizeFor(lied.sizeBytes))
    const keys = await open()
    const [a, b] = await keys.draw('network', [honest, lied])
    const [again] = await keys.draw('network', [honest])
    expect(a).to.deep.equal(again)
    expect(a).to.not.deep.equal(b)
    expect(a && idOf(a, honest)).to.not.equal(b && idOf(b, lied))
  })

  it('forgets the key of a wrong size, and keeps that of the right one', async () => {
    const keys = await open()
    await keys.draw('network', [honest, lied])
    await keys.drop('network', [honest, lied], new Set([blobName(honest)]))
    expect(keys.open('network', honest)).to.have.length(32)
    expect(keys.open('network', lied)).to.equal(undefined)
  })
})
