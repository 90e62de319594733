import { expect } from 'chai'
import type { StoredBundle } from '../chunk-store/index.ts'
import {
  createSwarmStreet,
  type Home,
  randomBundle,
  type SwarmStreet,
  type TestBundle,
  toyTicket,
} from './swarm.fixture.ts'
import type { Download } from './swarm.ts'

const MiB = 1 << 20

/** Starts a download at `home` with a good ticket. */
function get(home: Home, bundle: TestBundle, from: readonly Home[], more = {}): Download {
  return home.swarm.download({
    bundle: bundle.id,
    ticket: () => toyTicket(home.address.peer, bundle.id),
    hints: from.map(({ address }) => address),
    signal: AbortSignal.timeout(15_000),
    ...more,
  })
}

async function expectWhole(stored: StoredBundle, bundle: TestBundle): Promise<void> {
  expect(stored.complete).to.equal(true)
  for (const [chunk, bytes] of bundle.chunks.entries()) {
    expect(Buffer.compare(await stored.read(chunk), bytes)).to.equal(0)
  }
}

describe('swarm', function () {
  this.timeout(30_000)
  let street: SwarmStreet
  beforeEach(() => {
    street = createSwarmStreet()
  })
  afterEach(() => street.stop())

  it('brings a bundle from one seed to four homes, which also feed each other', async () => {
    const bundle = randomBundle(2_000, 3 * MiB, 2 * MiB + 17)
    const seed = await street.home()
    const homes = await Promise.all([1, 2, 3, 4].map(() => street.home()))
    await seed.fill(bundle)
    const all = [seed, ...homes]
    const downloads = homes.map((home) => get(home, bundle, all))
    const stored = await Promise.all(downloads.map(({ done }) => done))
    for (const [index, home] of homes.entries()) {
      await expectWhole(stored[index]!, bundle)
      const { bytesDone, bytesTotal, fromPeer } = downloads[index]!.progress()
      expect(bytesDone).to.equal(bundle.travelBytes)
      expect(bytesTotal).to.equal(bundle.travelBytes)
      const sum = [...fromPeer.values()].reduce((total, bytes) => total + bytes, 0)
      expect(sum).to.equal(bundle.travelBytes)
      const fromSeed = fromPeer.get(seed.address.peer) ?? 0
      expect(sum - fromSeed, 'bytes from other homes').to.be.above(0)
      expect(home.swarm.stats().wrongChunks).to.equal(0)
      expect(home.swarm.stats().duplicateBytes).to.be.below(0.05 * bundle.travelBytes)
    }
  })
})
