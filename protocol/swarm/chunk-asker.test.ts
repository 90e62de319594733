import { expect } from 'chai'
import { Bitfield, createLayout, type Run } from '../bundle/index.ts'
import type { BlobId, BundleId, PeerId } from '../ids.ts'
import { ChunkAsker } from './chunk-asker.ts'
import { Picker } from './picker.ts'
import { Sender } from './sender.ts'
import { SwarmStats } from './stats.ts'
import { createTokenBucket } from './token-bucket.ts'

const bundle = 'a'.repeat(64) as BundleId
const chunkBytes = 65_536

/** A download of ten chunks in windows of four, and what its senders were told. */
function download(bucket = createTokenBucket(1)) {
  const told: string[] = []
  const counts: number[] = []
  const senders = new Map<string, Sender>()
  const id = 'b'.repeat(64) as BlobId
  const blob = { sizeBytes: 10 * chunkBytes, chunkSizeBytes: chunkBytes, chunkCount: 10, id }
  const layout = createLayout({ blobs: [{ ...blob, names: new Uint8Array(0) }] })
  const held = new Bitfield(10)
  const bytesOf = (): number => chunkBytes
  const picker = new Picker({ chunkCount: 10, held, bytesOf, random: () => 0, windowChunks: 4 })
  const asker = new ChunkAsker({
    ...{ bundle, layout, picker, bucket },
    senderOf: (peer) => senders.get(peer),
    stats: new SwarmStats({ nowMs: () => 0, isCache: () => false }),
  })
  const add = (name: string, chunks: readonly number[]): Sender => {
    const sender = new Sender(name as PeerId)
    let requests = 0
    sender.session = {
      request: (_: BundleId, { start, count }: Run) => {
        counts.push(count)
        told.push(`${name}: send ${start}`)
        return requests++
      },
      letGo: (request: number) => told.push(`${name}: let go of request ${request}`),
    } as unknown as NonNullable<Sender['session']>
    const has = new Bitfield(10)
    for (const chunk of chunks) has.set(chunk)
    picker.setPeer(name, has)
    senders.set(name, sender)
    return sender
  }
  return { asker, add, told, counts }
}

/** It has sent a chunk each 80 ms for two seconds. */
function proven(sender: Sender): Sender {
  sender.receivedBytes = 9 * chunkBytes
  sender.credit.asked(0)
  sender.credit.answered(10)
  for (let ms = 0; ms < 2_000; ms += 80) sender.credit.arrived(chunkBytes, ms)
  return sender
}

describe('swarm/chunk-asker', () => {
  it('takes over what holds up a layer before it asks for what lies beyond', () => {
    const { asker, add, told } = download()
    asker.fill(add('idle', [0]), 0)
    const fast = proven(add('fast', [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]))
    told.length = 0
    asker.fill(fast, 2_000)
    const window = ['fast: send 3', 'fast: send 2', 'fast: send 1', 'idle: let go of request 0']
    expect(told.slice(0, 4)).to.deep.equal(window)
    expect(told.length, 'and goes on beyond it').to.be.above(4)
  })

  it('has a sender that has not delivered yet take over as soon as its uplink makes it worth it', () => {
    const { asker, add, told } = download()
    asker.fill(add('busy', [0]), 0)
    const idle = (name: string, uploadBytesPerS?: number): void => {
      const sender = add(name, [0])
      if (uploadBytesPerS !== undefined) sender.link = { uploadBytesPerS }
      asker.fill(sender, 400)
    }
    told.length = 0
    idle('silent')
    idle('slow', 2 * chunkBytes)
    expect(told, 'a second for a chunk is not soon').to.deep.equal([])
    idle('quick', 20 * chunkBytes)
    expect(told).to.deep.equal(['busy: let go of request 0'])
  })

  it('leaves with its sender what will be here as soon', () => {
    const { asker, add, told } = download()
    asker.fill(add('slow', [0]), 1_950)
    const fast = proven(add('fast', [0, 1, 2, 3, 4, 5]))
    told.length = 0
    asker.fill(fast, 2_000)
    expect(told.slice(0, 4)).to.deep.equal([3, 2, 1, 5].map((chunk) => `fast: send ${chunk}`))
  })

  it('takes over at the end what would be here a little later', () => {
    const { asker, add, told } = download()
    asker.fill(add('slow', [0]), 1_950)
    asker.fill(proven(add('other', [4, 5, 6, 7, 8, 9])), 1_950)
    const fast = proven(add('fast', [0, 1, 2, 3]))
    told.length = 0
    asker.fill(fast, 2_000)
    const last = [3, 2, 1].map((chunk) => `fast: send ${chunk}`)
    expect(told).to.deep.equal([...last, 'slow: let go of request 0'])
  })

  it('asks under a limit for no more than a moment of it, so that a lower one begins without debts', () => {
    const bucket = createTokenBucket(chunkBytes, 100)
    const { asker, add, counts } = download(bucket)
    const fast = add('fast', [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    fast.receivedBytes = 100 * chunkBytes
    for (let ms = 0; ms < 2_000; ms += 5) fast.credit.arrived(chunkBytes, ms)
    bucket.setRate(4e6, 2_000)
    asker.fill(fast, 2_000)
    expect(Math.max(...counts), 'half of what 100 ms save up').to.equal(3)
    bucket.setRate(0.5e6, 2_000)
    expect(bucket.waitMs(1, 2_000), 'ms until it may ask again').to.be.below(200)
  })
})
