import { expect } from 'chai'
import fc from 'fast-check'
import type { BundleId } from '../ids.ts'
import { queuedChunksMax, queuedJobsMax, UploadQueue } from './upload-queue.ts'

const bundle = 'b'.repeat(64) as BundleId
const anyone = () => true

/** The next job, charged at a size of its own. */
function serve(queue: UploadQueue<string>, bytes: number) {
  const next = queue.next(anyone)
  if (next) queue.charge(next.requester, bytes)
  return next
}

describe('swarm/upload-queue', () => {
  it('serves a run chunk by chunk, and none that was cancelled', () => {
    const queue = new UploadQueue<string>()
    queue.pushRun('a', { bundle, id: 1, first: 5, count: 2 })
    queue.pushRun('a', { bundle, id: 2, first: 9, count: 3 })
    expect(serve(queue, 1)?.job).to.deep.equal({
      ...{ kind: 'chunk', bundle, id: 1 },
      ...{ number: 5, count: 1 },
    })
    queue.cancel('a', { id: 2 })
    expect(serve(queue, 1)?.job).to.include({ id: 1, number: 6 })
    expect(serve(queue, 1)).to.equal(undefined)
    expect(queue.waitingChunks('a')).to.equal(0)
  })

  it('refuses more than its bound', () => {
    const queue = new UploadQueue<string>()
    for (let id = 0; id < queuedChunksMax / 64; id++) {
      queue.pushRun('a', { bundle, id, first: 0, count: 64 })
    }
    expect(() => queue.pushRun('a', { bundle, id: 99, first: 0, count: 1 })).to.throw(
      'more than 1024 chunks',
    )
    for (let id = 0; id < queuedJobsMax; id++) queue.pushDescriptor('b', bundle, 0)
    expect(() => queue.pushDescriptor('b', bundle, 0)).to.throw('more than 256 requests')
  })

  it('gives each waiting requester the same bytes, however its chunks are cut', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 1 << 20 }), { minLength: 2, maxLength: 8 })
    fc.assert(
      fc.property(sizes, (chunkBytes) => {
        const queue = new UploadQueue<string>()
        const got = new Map<string, number>()
        for (const requester of chunkBytes.keys()) {
          for (let id = 0; id < 16; id++) {
            queue.pushRun(`${requester}`, { bundle, id, first: 0, count: 64 })
          }
        }
        // While nobody's queue has run dry, nobody is ahead by more than a chunk of the biggest.
        for (let turn = 0; turn < 200; turn++) {
          const next = queue.next(anyone)
          const bytes = chunkBytes[Number(next?.requester)] ?? 0
          queue.charge(next?.requester ?? '', bytes)
          got.set(next?.requester ?? '', (got.get(next?.requester ?? '') ?? 0) + bytes)
          const all = [...chunkBytes.keys()].map((requester) => got.get(`${requester}`) ?? 0)
          const most = Math.max(...chunkBytes)
          if (Math.max(...all) - Math.min(...all) > most) return false
        }
        return true
      }),
      { numRuns: 50 },
    )
  })

  it('lets nobody save up by being silent', () => {
    const queue = new UploadQueue<string>()
    queue.pushRun('busy', { bundle, id: 1, first: 0, count: 64 })
    for (let turn = 0; turn < 50; turn++) serve(queue, 1000)
    queue.pushRun('new', { bundle, id: 1, first: 0, count: 64 })
    const order = Array.from({ length: 10 }, () => serve(queue, 1000)?.requester)
    expect(order.filter((requester) => requester === 'new').length).to.be.within(4, 6)
  })
})
