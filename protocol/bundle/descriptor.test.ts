import { hash } from 'node:crypto'
import { decode, encode } from 'cborg'
import { expect } from 'chai'
import fc from 'fast-check'
import type { BlobId } from '../ids.ts'
import { cutFor } from './chunk-size.ts'
import { bundleIdOf, encodeDescriptor, maxDescriptorBytes, parseDescriptor } from './descriptor.ts'
import { createLayout } from './layout.ts'

const KiB64 = 64 * 1024

function blobOf(sizeBytes: number, idByte: number) {
  const cut = cutFor(sizeBytes)
  const names = Buffer.alloc(cut.chunkCount * 32, idByte)
  return { ...cut, id: Buffer.alloc(32, idByte).toString('hex') as BlobId, names }
}

const sizes = fc.array(
  fc.oneof(fc.nat(3), fc.integer({ min: KiB64 - 2, max: KiB64 + 2 }), fc.nat(2 ** 24)),
  { minLength: 1, maxLength: 20 },
)

describe('a descriptor', () => {
  it('comes back as it was written, named by its hash', () => {
    fc.assert(
      fc.property(sizes, (all) => {
        const blobs = all.map((sizeBytes, place) => blobOf(sizeBytes, place))
        const bytes = encodeDescriptor(blobs)
        expect(parseDescriptor(bytes).blobs.map((blob) => blob.id)).to.deep.equal(
          blobs.map((blob) => blob.id),
        )
        expect(Buffer.from(encodeDescriptor(parseDescriptor(bytes).blobs)).equals(bytes)).to.equal(
          true,
        )
        expect(bundleIdOf(bytes)).to.equal(hash('sha256', bytes, 'hex'))
      }),
    )
  })

  it('has the bytes that the format fixes', () => {
    const bytes = encodeDescriptor([blobOf(2, 1)])
    // {"v": 1, "blobs": [{"id": h'01…', "size": 2, "chunks": h'01…', "chunkSize": 65536}]}
    const hex =
      `a261760165626c6f627381a46269645820${'01'.repeat(32)}6473697a6502` +
      `666368756e6b735820${'01'.repeat(32)}696368756e6b53697a651a00010000`
    expect(Buffer.from(bytes).toString('hex')).to.equal(hex)
  })

  it('holds the largest image that is documented, also in the most layers there may be', () => {
    // Below 256 MiB a blob is cut by 64 KiB: the most chunks for its bytes.
    const layer = blobOf(256 * 2 ** 20, 0)
    const blobs = Array.from({ length: 127 }, (_, place) => ({
      ...layer,
      id: Buffer.alloc(32, place + 1).toString('hex') as BlobId,
    }))
    const bytes = encodeDescriptor([blobOf(1_000, 0), ...blobs])
    expect(parseDescriptor(bytes).blobs).to.have.length(128)
    expect(127 * layer.sizeBytes).to.be.above(34e9)
    expect(bytes.length).to.be.above(16e6)
  })

  it('is refused with one code for any change, or reads as what it then says', () => {
    const bytes = encodeDescriptor([blobOf(2, 1), blobOf(KiB64 * 3, 2)])
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(255), (at, value) => {
        const changed = Uint8Array.from(bytes)
        changed[at] = value
        try {
          const { blobs } = parseDescriptor(changed)
          expect(Buffer.from(encodeDescriptor(blobs)).equals(changed)).to.equal(true)
        } catch (error) {
          expect(error).to.have.property('code', 'MALFORMED_DESCRIPTOR')
        }
      }),
      { numRuns: 500 },
    )
  })

  it('is refused cut short, with more behind it, or as noise', () => {
    const bytes = encodeDescriptor([blobOf(2, 1)])
    for (let end = 0; end < bytes.length; end += 1) refuse(bytes.subarray(0, end))
    refuse(Buffer.concat([bytes, Buffer.from([0])]))
    fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), (noise) => refuse(noise)))
    refuse(new Uint8Array(maxDescriptorBytes + 1))
  })

  it('is refused when sizes, cuts and names do not agree', () => {
    const good = blobOf(KiB64 * 3, 1)
    refuseBlobs([])
    refuseBlobs([good, good])
    refuseBlobs([{ ...good, sizeBytes: good.sizeBytes + 1 }])
    refuseBlobs([{ ...good, chunkSizeBytes: 2 * KiB64 }])
    refuseBlobs([{ ...good, names: good.names.subarray(32) }])
    refuseBlobs([{ ...good, names: Buffer.concat([good.names, Buffer.alloc(1)]) }])
    refuseBlobs(Array.from({ length: 129 }, (_, place) => blobOf(0, place)))
    expect(() => encodeDescriptor([good], { maxImageBytes: KiB64 })).to.throw(/at most 65536/)
  })

  it('has one encoding: another version, order or property is refused', () => {
    const said = decode(encodeDescriptor([blobOf(2, 1)])) as Record<string, unknown>
    refuse(encode({ ...said, v: 2 }))
    refuse(encode({ ...said, name: 'alpine' }))
    refuse(encode({ blobs: said.blobs, v: 1 }, { mapSorter: () => 0 }))
  })
})

describe('the layout of a bundle', () => {
  it('numbers each chunk of each blob once, in order', () => {
    fc.assert(
      fc.property(sizes, (all) => {
        const blobs = all.map((sizeBytes, place) => blobOf(sizeBytes, place))
        const layout = createLayout(parseDescriptor(encodeDescriptor(blobs)))
        let chunk = 0
        let travelBytes = 0
        for (const [blobIndex, blob] of blobs.entries()) {
          expect(layout.firstChunkOf(blobIndex)).to.equal(chunk)
          for (let index = 0; index < blob.chunkCount; index += 1) {
            const place = layout.locate(chunk)
            expect([place.blobIndex, place.index]).to.deep.equal([blobIndex, index])
            expect(layout.nameOf(chunk)[0]).to.equal(blobIndex)
            travelBytes += place.travelBytes
            chunk += 1
          }
        }
        expect([layout.chunkCount, layout.travelBytes]).to.deep.equal([chunk, travelBytes])
        expect(() => layout.locate(chunk)).to.throw(/no chunk/)
      }),
      { numRuns: 30 },
    )
  })
})

function refuse(bytes: Uint8Array): void {
  expect(() => parseDescriptor(bytes))
    .to.throw()
    .with.property('code', 'MALFORMED_DESCRIPTOR')
}

function refuseBlobs(blobs: Parameters<typeof encodeDescriptor>[0]): void {
  expect(() => encodeDescriptor(blobs))
    .to.throw()
    .with.property('code', 'MALFORMED_DESCRIPTOR')
}
