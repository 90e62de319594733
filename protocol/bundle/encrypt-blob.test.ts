import { expect } from 'chai'
import fc from 'fast-check'
import { openChunk } from './chunk-cipher.ts'
import { encryptBlob, resumeFrom, type SealedChunk } from './encrypt-blob.ts'
import { inPieces, type SampleBlob, sampleBlob } from './sample-bundle.ts'

const KiB64 = 64 * 1024
const aroundChunks = fc
  .tuple(fc.nat(3), fc.integer({ min: -2, max: 2 }))
  .map(([chunks, offset]) => Math.max(0, chunks * KiB64 + offset))

describe('the encryption of a blob', () => {
  it('gives chunks that open to the blob, whatever its size and pieces', async () => {
    await fc.assert(
      fc.asyncProperty(aroundChunks, fc.integer({ min: 1, max: 100_000 }), async (size, piece) => {
        const blob = await sampleBlob(size)
        const pieceBytes = Math.max(piece, Math.ceil(size / 500))
        const sealed = await collect(encryptBlob(inPieces(blob.plaintext, pieceBytes), blob))
        const opened = sealed.map(({ index, bytes }) =>
          openChunk(blob.key, { blob: blob.id, index, count: sealed.length }, bytes),
        )
        expect(Buffer.concat(opened).equals(blob.plaintext)).to.equal(true)
        expect(Buffer.concat(sealed.map(({ name }) => name)).equals(blob.names)).to.equal(true)
      }),
      { numRuns: 40 },
    )
  })

  it('goes on after any chunk, with the same result', async () => {
    const blob = await sampleBlob(4 * KiB64 + 5)
    for (let heldCount = 0; heldCount < blob.chunkCount; heldCount += 1) {
      const resume = await resumeFrom(blob, { heldCount, read: async (at) => blob.chunks[at]! })
      const rest = inPieces(blob.plaintext.subarray(heldCount * KiB64))
      const sealed = await collect(encryptBlob(rest, { ...blob, resume }))
      expect(sealed.map(({ index }) => index)[0]).to.equal(heldCount)
      const names = Buffer.concat(sealed.map(({ name }) => name))
      expect(names.equals(blob.names.subarray(heldCount * 32))).to.equal(true)
    }
  })

  it('goes on from before a chunk that rotted', async () => {
    const blob = await sampleBlob(4 * KiB64)
    const read = async (at: number) => {
      if (at === 2) throw Object.assign(new Error('rotten'), { code: 'CHUNK_ROTTEN' })
      return blob.chunks[at]!
    }
    const resume = await resumeFrom(blob, { heldCount: 3, read })
    expect(resume.fromChunk).to.equal(2)
    const rest = inPieces(blob.plaintext.subarray(2 * KiB64))
    expect(await collect(encryptBlob(rest, { ...blob, resume }))).to.have.length(2)
  })

  it('keeps the last chunk back from a blob that is not what it should be', async () => {
    const blob = await sampleBlob(2 * KiB64)
    const changed = Uint8Array.from(blob.plaintext)
    changed[5]! ^= 1
    expect(await failureOf(blob, changed)).to.deep.equal(['DIGEST_MISMATCH', 1])
    const longer = Buffer.concat([blob.plaintext, Buffer.alloc(1)])
    expect(await failureOf(blob, longer)).to.deep.equal(['SIZE_MISMATCH', 1])
    expect(await failureOf(blob, blob.plaintext.subarray(1))).to.deep.equal(['SIZE_MISMATCH', 1])
    expect(await failureOf(await sampleBlob(0), Buffer.alloc(1))).to.deep.equal([
      'SIZE_MISMATCH',
      0,
    ])
  })

  it('closes its source when its consumer stops', async () => {
    const blob = await sampleBlob(4 * KiB64)
    let closed = false
    const source = async function* () {
      try {
        yield* inPieces(blob.plaintext)
      } finally {
        closed = true
      }
    }
    for await (const chunk of encryptBlob(source(), blob)) if (chunk.index === 1) break
    expect(closed).to.equal(true)
  })
})

async function collect(chunks: AsyncIterable<SealedChunk>): Promise<SealedChunk[]> {
  return await Array.fromAsync(chunks)
}

/** The code that the blob fails with, and how many chunks came out before. */
async function failureOf(blob: SampleBlob, bytes: Uint8Array): Promise<[unknown, number]> {
  let count = 0
  try {
    for await (const _ of encryptBlob(inPieces(bytes), blob)) count += 1
  } catch (error) {
    return [(error as { code: unknown }).code, count]
  }
  return [undefined, count]
}
