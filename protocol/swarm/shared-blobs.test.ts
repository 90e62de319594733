import { expect } from 'chai'
import { sampleBlob, sampleBundle } from '../bundle/sample-bundle.ts'
import { createSwarmStreet, type SwarmStreet, toyTicket } from './swarm.fixture.ts'

const chunkBytes = 64 * 1024

describe('swarm: bundles that share blobs', function () {
  this.timeout(30_000)
  let street: SwarmStreet
  beforeEach(() => {
    street = createSwarmStreet()
  })
  afterEach(() => street.stop())

  for (const role of ['home', 'cache']) {
    it(`moves only the blobs that a new version changed, from a ${role}`, () => moves(role))
  }

  const moves = async (role: string): Promise<void> => {
    const shared = await sampleBlob(8 * chunkBytes, 'shared')
    const versions = [
      await sampleBundle([100, shared, chunkBytes], 'one'),
      await sampleBundle([100, shared, 2 * chunkBytes], 'two'),
    ] as const
    const share = { index: 0, of: 1 }
    const seed = await street.home(role === 'cache' ? { with: { seed: () => share } } : {})
    const home = await street.home()
    for (const { descriptorBytes, chunks } of versions) {
      const stored = await seed.store.add(descriptorBytes)
      for (const [chunk, bytes] of chunks.entries()) await stored.put(chunk, bytes)
    }
    const fetched: number[] = []
    for (const { id } of versions) {
      const before = home.swarm.stats().downloadedBytes
      const download = home.swarm.download({
        bundle: id,
        ticket: () => toyTicket(home.address.peer, id),
        hints: [seed.address],
        signal: AbortSignal.timeout(15_000),
      })
      expect((await download.done).complete).to.equal(true)
      fetched.push(home.swarm.stats().downloadedBytes - before)
    }
    const sealed = (sizeBytes: number, chunks: number): number => sizeBytes + 16 * chunks
    expect(fetched[0]).to.be.at.least(sealed(100 + 9 * chunkBytes, 10))
    expect(fetched[1]).to.be.within(sealed(100 + 2 * chunkBytes, 3), 3 * chunkBytes)
  }
})
