import { expect } from 'chai'
import {
  createSwarmStreet,
  expectWhole,
  getBundle,
  randomBundle,
  type SwarmStreet,
  until,
} from './swarm.fixture.ts'

const MiB = 1 << 20
const seed = () => ({ index: 0, of: 1 })
const uplink = (uploadBytesPerS: number) => ({
  init: { limits: { uploadBytesPerS } },
  with: { linkRates: () => ({ uploadBytesPerS }) },
})

describe('swarm, with a seed that shows by plan', function () {
  this.timeout(30_000)
  let street: SwarmStreet
  beforeEach(() => {
    street = createSwarmStreet()
  })
  afterEach(() => street.stop())

  it('sends nearly each chunk once before any twice, then all to homes that reach no other', async () => {
    const bundle = randomBundle(12 * MiB)
    const cache = await street.home({
      ...uplink(6 * MiB),
      with: { ...uplink(6 * MiB).with, seed },
    })
    await cache.fill(bundle)
    const homes = await Promise.all([1, 2, 3].map(() => street.home({ mesh: { listen: [] } })))
    const downloads = homes.map((home) => getBundle(home, bundle, [cache]))
    await until(() => cache.swarm.stats().uploadedBytes > bundle.travelBytes)
    const missing = [...bundle.chunks.keys()].filter((chunk) =>
      homes.every(({ store }) => !store.get(bundle.id)?.held.has(chunk)),
    )
    // Homes that draw by themselves leave out 0.3.
    expect(missing.length / bundle.chunks.length, 'that only the seed has').to.be.below(0.15)
    for (const { done, progress } of downloads) {
      await expectWhole(await done, bundle)
      expect([...progress().fromPeer.keys()]).to.deep.equal([cache.address.peer])
    }
  })

  it('lets homes that know only the seed find one another', async () => {
    const bundle = randomBundle(4 * MiB)
    const cache = await street.home({
      ...uplink(3 * MiB),
      with: { ...uplink(3 * MiB).with, seed },
    })
    await cache.fill(bundle)
    const homes = await Promise.all([1, 2, 3, 4].map(() => street.home(uplink(8 * MiB))))
    const downloads = homes.map((home) => getBundle(home, bundle, [cache]))
    for (const { done, progress } of downloads) {
      await expectWhole(await done, bundle)
      expect(progress().fromPeer.size, 'peers that sent something').to.be.above(2)
    }
    expect(cache.swarm.stats().uploadedBytes).to.be.below(1.5 * bundle.travelBytes)
    expect(homes.flatMap(({ misbehaviours }) => misbehaviours)).to.deep.equal([])
  })

  it('starves nobody who comes back in the middle, with what it had or without', async () => {
    const bundle = randomBundle(3 * MiB)
    const cache = await street.home({
      ...uplink(2 * MiB),
      with: { ...uplink(2 * MiB).with, seed },
    })
    await cache.fill(bundle)
    const [first, second] = await Promise.all([street.home(), street.home()])
    const stays = getBundle(first, bundle, [cache])
    const leaving = new AbortController()
    const leaves = getBundle(second, bundle, [cache], { signal: leaving.signal })
    await leaves.descriptor
    await new Promise<void>((resolve) => {
      const off = second.store.get(bundle.id)?.onHeld(() => {
        off?.()
        resolve()
      })
    })
    leaving.abort(new Error('restarts'))
    await leaves.done.catch(() => undefined)
    const back = getBundle(second, bundle, [cache])
    const late = getBundle(await street.home(), bundle, [cache])
    for (const { done } of [stays, back, late]) await expectWhole(await done, bundle)
  })
})
