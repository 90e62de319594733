import { expect } from 'chai'
import fc from 'fast-check'
import type { BlobId, Digest } from '../ids.ts'
import { blobIdFor, chunkNameOf, openChunk, sealChunk } from './chunk-cipher.ts'

const key = Buffer.alloc(32, 7)
const blob = 'ab'.repeat(32) as BlobId
const position = { blob, index: 3, count: 9 }
const digest = `sha256:${'5e'.repeat(32)}` as Digest

describe('a sealed chunk', () => {
  it('opens to what was sealed, and is 16 bytes longer', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(2 ** 32 - 2), (plaintext, index) => {
        const at = { blob, index, count: index + 1 }
        const sealed = sealChunk(key, at, plaintext)
        expect(sealed.length).to.equal(plaintext.length + 16)
        expect(Buffer.from(openChunk(key, at, sealed)).equals(plaintext)).to.equal(true)
      }),
    )
  })

  it('is refused with any bit flipped or any byte cut off', () => {
    const sealed = sealChunk(key, position, Buffer.from('some plaintext'))
    fc.assert(
      fc.property(fc.nat(sealed.length * 8 - 1), fc.nat(sealed.length - 1), (bit, sizeBytes) => {
        const flipped = Buffer.from(sealed)
        flipped[bit >> 3]! ^= 1 << (bit & 7)
        expectRefused(() => openChunk(key, position, flipped))
        expectRefused(() => openChunk(key, position, sealed.subarray(0, sizeBytes)))
      }),
    )
  })

  it('is refused at another index, count, blob or under another key', () => {
    const sealed = sealChunk(key, position, Buffer.from('some plaintext'))
    const otherBlob = `${blob.slice(0, 63)}c` as BlobId
    expectRefused(() => openChunk(key, { ...position, index: 4 }, sealed))
    expectRefused(() => openChunk(key, { ...position, count: 10 }, sealed))
    expectRefused(() => openChunk(key, { ...position, blob: otherBlob }, sealed))
    expectRefused(() => openChunk(Buffer.alloc(32, 8), position, sealed))
  })

  it('has the bytes that the format fixes, as another implementation makes them', () => {
    const sealed = sealChunk(key, position, Buffer.from('potluck'))
    expect(Buffer.from(sealed).toString('hex')).to.equal(
      'f89c1e54eee30c981559d4c07c63c397f7d58f04206236',
    )
    expect(blobIdFor(key, digest, 65536)).to.equal(
      'a9639b936f0a88c245f7521f2fc6039e4def4bd5cde16816b8ff2db4e44b932a',
    )
    expect(chunkNameOf(Buffer.from('abc')).toString('hex')).to.equal(
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    )
  })
})

describe('a blob id', () => {
  it('changes with key, digest and chunk size, and with nothing else', () => {
    const other = `sha256:${'5f'.repeat(32)}` as Digest
    const ids = [
      blobIdFor(key, digest, 65536),
      blobIdFor(Buffer.alloc(32, 8), digest, 65536),
      blobIdFor(key, other, 65536),
      blobIdFor(key, digest, 131072),
    ]
    expect(new Set(ids).size).to.equal(4)
    expect(blobIdFor(key, digest, 65536)).to.equal(ids[0])
  })
})

function expectRefused(open: () => unknown): void {
  expect(open).to.throw().with.property('code', 'CHUNK_NOT_OPENED')
}
