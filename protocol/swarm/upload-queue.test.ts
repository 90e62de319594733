import { expect } from 'chai'
import fc from 'fast-check'
import type { BundleId } from '../ids.ts'
import { fairEvery, queuedChunksMax, queuedJobsMax, UploadQueue } from './upload-queue.ts'

const bundle = 'b'.repeat(64) as BundleId
const anyone = () => true
/** Of equals the first is served. */
const firstStays = () => 0.999

/** The next job, charged at a size of its own. */
function serve(queue: UploadQueue<string>, bytes: number) {
  const next = queue.next(anyone)
  if (next) queue.charge(next.requester, bytes)
  return next
}

describe('swarm/upload-queue', () => {
  it('serves a run chunk by chunk, and none that was cancelled', () => {
    const queue = new UploadQueue<string>(firstStays)
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
    const queue = new UploadQueue<string>(firstStays)
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
        const queue = new UploadQueue<string>(firstStays)
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

  const rankOf = (turns: Record<string, number>, holders: Record<number, number>) => ({
    turnOf: (requester: string) => turns[requester] ?? 0,
    uploadBytesPerS: (requester: string) => requester.length,
    holdersOf: (_: BundleId, chunk: number) => holders[chunk] ?? 5,
  })

  it('serves lone chunks first, and to who can pass most on', () => {
    const queue = new UploadQueue<string>(firstStays)
    const rank = rankOf({ favourite: -1 }, { 7: 0, 8: 0 })
    queue.pushRun('favourite', { bundle, id: 1, first: 1, count: 1 })
    queue.pushRun('slow', { bundle, id: 2, first: 7, count: 1 })
    queue.pushRun('faster', { bundle, id: 3, first: 8, count: 1 })
    const order = [1, 2, 3].map(() => queue.next(anyone, { rank })?.requester)
    expect(order).to.deep.equal(['faster', 'slow', 'favourite'])
  })

  it('serves homes in their turn, of each the rarest chunk, and equals alike', () => {
    const queue = new UploadQueue<string>(firstStays)
    const rank = rankOf({ late: 1 }, { 3: 1 })
    queue.pushRun('late', { bundle, id: 1, first: 9, count: 1 })
    for (const [id, first] of [2, 3].entries()) queue.pushRun('a', { bundle, id, first, count: 1 })
    const first = queue.next(anyone, { rank })
    expect(first).to.deep.include({ requester: 'a' })
    expect(first?.job).to.include({ number: 3 })
    queue.charge('a', 1)
    queue.pushRun('b', { bundle, id: 5, first: 4, count: 1 })
    queue.charge('b', 2)
    const rest = [1, 2, 3].map(() => queue.next(anyone, { rank })?.requester)
    expect(rest).to.deep.equal(['a', 'b', 'late'])
  })

  it('serves who is done soonest each eighth time', () => {
    const queue = new UploadQueue<string>(firstStays)
    const rank = {
      ...rankOf({}, {}),
      turnOf: (requester: string, _: BundleId, soonest: boolean) =>
        (requester === 'soon') === soonest ? 0 : 1,
    }
    queue.pushRun('soon', { bundle, id: 1, first: 0, count: 50 })
    queue.pushRun('first', { bundle, id: 1, first: 0, count: 50 })
    const served = Array.from({ length: 16 }, () => queue.next(anyone, { rank })?.requester)
    // The sixteenth goes to the least served, and both were served nothing.
    expect(served.slice(0, 15).filter((requester) => requester === 'soon')).to.have.length(2)
  })

  it('draws among equals, whoever came first', () => {
    const drawn = [0.4, 0.9].map((random) => {
      const queue = new UploadQueue<string>(() => random)
      for (const home of ['a', 'b']) queue.pushRun(home, { bundle, id: 1, first: 0, count: 1 })
      return queue.next(anyone, { rank: rankOf({}, {}) })?.requester
    })
    expect(drawn).to.deep.equal(['b', 'a'])
  })

  it('lets nobody starve, whatever the rank says', () => {
    const queue = new UploadQueue<string>(firstStays)
    const rank = rankOf({ last: 1e9 }, {})
    queue.pushRun('last', { bundle, id: 1, first: 0, count: 8 })
    const got = { last: 0, first: 0 }
    for (let turn = 0; turn < 8 * fairEvery; turn++) {
      if (queue.waitingChunks('first') === 0)
        queue.pushRun('first', { bundle, id: turn, first: 9, count: 1 })
      const next = queue.next(anyone, { rank })
      queue.charge(next?.requester ?? '', 1)
      got[next?.requester === 'last' ? 'last' : 'first'] += 1
    }
    expect(got.last).to.equal(8)
  })

  it('lets nobody save up by being silent', () => {
    const queue = new UploadQueue<string>(firstStays)
    queue.pushRun('busy', { bundle, id: 1, first: 0, count: 64 })
    for (let turn = 0; turn < 50; turn++) serve(queue, 1000)
    queue.pushRun('new', { bundle, id: 1, first: 0, count: 64 })
    const order = Array.from({ length: 10 }, () => serve(queue, 1000)?.requester)
    expect(order.filter((requester) => requester === 'new').length).to.be.within(4, 6)
  })
})
