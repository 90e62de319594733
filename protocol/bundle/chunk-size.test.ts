import { expect } from 'chai'
import fc from 'fast-check'
import { chunkSizeFor, cutFor, plainBytesOf, travelBytesOf } from './chunk-size.ts'

const KiB = 1024
const MiB = 1024 * KiB
const GiB = 1024 * MiB

describe('the cut of a blob', () => {
  it('grows from 64 KiB to 1 MiB at exact powers of two', () => {
    const sizes: readonly (readonly [number, number])[] = [
      [0, 64 * KiB],
      [2, 64 * KiB],
      [256 * MiB, 64 * KiB],
      [256 * MiB + 1, 128 * KiB],
      [512 * MiB, 128 * KiB],
      [512 * MiB + 1, 256 * KiB],
      [2 * GiB, 512 * KiB],
      [2 * GiB + 1, MiB],
      [4 * GiB, MiB],
      [100 * GiB, MiB],
    ]
    for (const [blobBytes, chunkBytes] of sizes)
      expect(chunkSizeFor(blobBytes)).to.equal(chunkBytes)
  })

  it('is the formula of the design for every size', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 64 * GiB }), (sizeBytes) => {
        const formula = 2 ** Math.ceil(Math.log2(sizeBytes / 4096))
        expect(chunkSizeFor(sizeBytes)).to.equal(Math.min(MiB, Math.max(64 * KiB, formula)))
      }),
    )
  })

  it('gives chunks that add up to the blob', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 300 * MiB }), (sizeBytes) => {
        const cut = cutFor(sizeBytes)
        const last = cut.chunkCount - 1
        expect(last * cut.chunkSizeBytes + plainBytesOf(cut, last)).to.equal(sizeBytes)
        expect(travelBytesOf(cut, last)).to.equal(plainBytesOf(cut, last) + 16)
      }),
    )
  })

  it('makes one chunk of an empty blob', () => {
    expect(cutFor(0)).to.deep.equal({ sizeBytes: 0, chunkSizeBytes: 64 * KiB, chunkCount: 1 })
    expect(travelBytesOf(cutFor(0), 0)).to.equal(16)
  })
})
