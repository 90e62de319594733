import { expect } from 'chai'
import fc from 'fast-check'
import { Bitfield, type Run } from './bitfield.ts'
import { readBlobRange } from './blob-reader.ts'
import type { ChunkSource } from './chunk-source.ts'
import { parseDescriptor } from './descriptor.ts'
import { createLayout } from './layout.ts'
import { type SampleBundle, sampleBundle } from './sample-bundle.ts'

const KiB64 = 64 * 1024
const forever = new AbortController().signal

/** A bundle of which all is there. */
function sourceOf(bundle: SampleBundle, reads: Run[] = []): ChunkSource & { held: Bitfield } {
  const layout = createLayout(parseDescriptor(bundle.descriptorBytes))
  const held = new Bitfield(layout.chunkCount)
  for (let chunk = 0; chunk < layout.chunkCount; chunk += 1) held.set(chunk)
  return {
    layout,
    held,
    async readRun(run) {
      reads.push(run)
      return Buffer.concat(bundle.chunks.slice(run.start, run.start + run.count))
    },
    async whenHeld() {},
  }
}

async function collect(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(pieces))
}

describe('the reader of a blob', () => {
  it('gives any range of any blob', async () => {
    const bundle = await sampleBundle([2, 3 * KiB64 + 7, 0])
    const place = fc.oneof(fc.nat(3 * KiB64 + 7), fc.constantFrom(0, KiB64, 2 * KiB64))
    await fc.assert(
      fc.asyncProperty(place, place, async (one, two) => {
        const [start, end] = [Math.min(one, two), Math.max(one, two)]
        const blob = bundle.blobs[1]!
        const range = { start, end, signal: forever }
        const got = await collect(readBlobRange(sourceOf(bundle), 1, blob.key, range))
        expect(got.equals(blob.plaintext.subarray(start, end))).to.equal(true)
      }),
    )
    for (const [blobIndex, blob] of bundle.blobs.entries()) {
      const whole = readBlobRange(sourceOf(bundle), blobIndex, blob.key, { signal: forever })
      expect((await collect(whole)).equals(blob.plaintext)).to.equal(true)
    }
  })

  it('reads chunks when its consumer wants them, some at once, and only those of the range', async () => {
    const bundle = await sampleBundle([9 * KiB64])
    const reads: Run[] = []
    const range = { start: KiB64 + 1, end: 6 * KiB64, signal: forever }
    const source = sourceOf(bundle, reads)
    const pieces = readBlobRange(source, 0, bundle.blobs[0]!.key, range)
    await pieces.next()
    expect(reads).to.deep.equal([{ start: 1, count: 3 }])
    await collect(pieces)
    expect(reads).to.deep.equal([
      { start: 1, count: 3 },
      { start: 4, count: 2 },
    ])
  })

  it('reads what is there while the next chunk is still to come', async () => {
    const bundle = await sampleBundle([4 * KiB64])
    const reads: Run[] = []
    const source = sourceOf(bundle, reads)
    source.held.set(2, false)
    const { key } = bundle.blobs[0]!
    const range = { end: 2 * KiB64 + 1, signal: forever }
    await collect(readBlobRange(source, 0, key, range))
    expect(reads.map(({ count }) => count)).to.deep.equal([2, 1])
  })

  it('waits for a chunk that is not there yet, and again for one that rotted', async () => {
    const bundle = await sampleBundle([2 * KiB64])
    const waits: number[] = []
    let isRotten = true
    const whole = sourceOf(bundle)
    const source: ChunkSource = {
      ...whole,
      async whenHeld(chunk) {
        waits.push(chunk)
        await new Promise((resolve) => setImmediate(resolve))
      },
      async readRun(run, options) {
        if (run.start <= 1 && run.start + run.count > 1 && isRotten) {
          isRotten = false
          whole.held.set(1, false)
          throw Object.assign(new Error('rotten'), { code: 'CHUNK_ROTTEN' })
        }
        return await whole.readRun(run, options)
      },
    }
    const { key, plaintext } = bundle.blobs[0]!
    const got = await collect(readBlobRange(source, 0, key, { signal: forever }))
    expect(got.equals(plaintext)).to.equal(true)
    expect(waits).to.deep.equal([0, 0, 1])
  })

  it('ends with the signal, and refuses the key of another blob', async () => {
    const bundle = await sampleBundle([10, 20])
    const { key } = bundle.blobs[0]!
    const reason = new Error('the pull ended')
    const aborted = readBlobRange(sourceOf(bundle), 0, key, { signal: AbortSignal.abort(reason) })
    expect(await collect(aborted).catch((error: unknown) => error)).to.equal(reason)
    const foreign = readBlobRange(sourceOf(bundle), 1, key, { signal: forever })
    const refused = await collect(foreign).catch((error: unknown) => error)
    expect(refused).to.have.property('code', 'CHUNK_NOT_OPENED')
  })
})
