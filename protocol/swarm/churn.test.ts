import { expect } from 'chai'
import {
  createSwarmStreet,
  expectWhole,
  getBundle,
  type Home,
  type HomeOptions,
  randomBundle,
  type SwarmStreet,
  type TestBundle,
  until,
} from './swarm.fixture.ts'

const MiB = 1 << 20
const seed = () => ({ index: 0, of: 1 })
const uplink = (uploadBytesPerS: number): HomeOptions => ({
  init: { limits: { uploadBytesPerS } },
  with: { linkRates: () => ({ uploadBytesPerS }) },
})
const cacheOf = (uploadBytesPerS: number): HomeOptions => ({
  ...uplink(uploadBytesPerS),
  with: { ...uplink(uploadBytesPerS).with, seed },
})
const patient = () => ({ signal: AbortSignal.timeout(50_000) })

/** Part of the bundle that these homes hold among them. */
function coverage(homes: readonly Home[], { id, chunks }: TestBundle): number {
  const held = [...chunks.keys()].filter((chunk) =>
    homes.some(({ store }) => store.get(id)?.held.has(chunk)),
  )
  return held.length / chunks.length
}

/** No connection of these homes lives, until the returned function is called. */
function cutOff(homes: readonly Home[]): () => void {
  const cut = (): void => {
    for (const { mesh } of homes) {
      for (const connection of mesh.getConnections()) connection.abort(new Error('cut'))
    }
  }
  cut()
  const timer = setInterval(cut, 20)
  return () => clearInterval(timer)
}

describe('swarm, where homes and caches come and go', function () {
  this.timeout(60_000)
  let street: SwarmStreet
  let cache: Home
  let bundle: TestBundle
  beforeEach(async () => {
    street = createSwarmStreet()
    bundle = randomBundle(4 * MiB)
    cache = await street.home(cacheOf(2 * MiB))
    await cache.fill(bundle)
  })
  afterEach(() => street.stop())

  const homesOf = (count: number) =>
    Promise.all(Array.from({ length: count }, () => street.home(uplink(2 * MiB))))
  /** Everybody has everything, and little of it came twice. */
  const expectAll = async (
    homes: readonly Home[],
    downloads: readonly { readonly done: Promise<unknown> }[],
  ) => {
    for (const { done } of downloads) await done
    for (const home of homes) {
      const stored = home.store.get(bundle.id)
      if (!stored) throw new Error('a home has no bundle')
      await expectWhole(stored, bundle)
      expect(home.swarm.stats().downloadedBytes).to.be.below(1.15 * bundle.travelBytes)
      expect(home.misbehaviours).to.deep.equal([])
    }
  }

  it('completes everywhere after half of the homes were cut off for a while', async () => {
    const homes = await homesOf(4)
    const downloads = homes.map((home) => getBundle(home, bundle, [cache, ...homes], patient()))
    await until(() => coverage(homes, bundle) > 0.3)
    const restore = cutOff(homes.slice(2))
    await until(() => homes.slice(0, 2).every(({ store }) => store.get(bundle.id)?.complete))
    expect(homes[3]?.store.get(bundle.id)?.complete).to.equal(false)
    restore()
    await expectAll(homes, downloads)
  })

  it('completes from the homes alone when the cache is killed and they hold every chunk', async () => {
    const homes = await homesOf(4)
    const downloads = homes.map((home) => getBundle(home, bundle, [cache, ...homes], patient()))
    await until(() => coverage(homes, bundle) === 1)
    expect(homes.every(({ store }) => store.get(bundle.id)?.complete)).to.equal(false)
    await cache.kill()
    await expectAll(homes, downloads)
  })

  it('waits for the cache when they do not, and fetches nothing again once it is back', async () => {
    const homes = await homesOf(3)
    const downloads = homes.map((home) => getBundle(home, bundle, [cache, ...homes], patient()))
    await until(() => coverage(homes, bundle) > 0.4)
    await cache.kill()
    const had = coverage(homes, bundle)
    expect(had).to.be.below(1)
    // What they have among them they have all, by and by.
    await until(() => homes.every((home) => coverage([home], bundle) >= had))
    const again = await street.home(cacheOf(2 * MiB))
    await again.fill(bundle)
    for (const download of downloads) download.addHints([again.address])
    await expectAll(homes, downloads)
    expect(again.swarm.stats().uploadedBytes).to.be.below(2 * bundle.travelBytes)
  })

  it('completes at all who stay, while others join and leave', async () => {
    const stay = await homesOf(3)
    const downloads = stay.map((home) => getBundle(home, bundle, [cache, ...stay], patient()))
    for (const share of [0.1, 0.3, 0.5, 0.7]) {
      const [guest] = await homesOf(1)
      if (!guest) continue
      const leaves = getBundle(guest, bundle, [cache], patient())
      leaves.done.catch(() => undefined)
      await until(() => coverage(stay, bundle) > share)
      await guest.kill()
    }
    await expectAll(stay, downloads)
  })
})
