import { expect } from 'chai'
import type { BundleStore } from '../chunk-store/index.ts'
import { PotluckError } from '../errors.ts'
import {
  createSwarmStreet,
  expectWhole,
  getBundle,
  type Home,
  type HomeOptions,
  randomBundle,
  type SwarmStreet,
  withRead,
} from './swarm.fixture.ts'

const MiB = 1 << 20
const seed = () => ({ index: 0, of: 1 })

const uplink = (uploadBytesPerS: number): HomeOptions => ({
  init: { limits: { uploadBytesPerS } },
  with: { linkRates: () => ({ uploadBytesPerS }) },
})
const turned = (bytes: Uint8Array): Uint8Array => bytes.map((byte) => byte ^ 1)

/** What a liar does with each chunk that it is asked for; it says that it holds them all. */
const lies: Readonly<Record<string, (store: BundleStore) => BundleStore>> = {
  'wrong-chunk': withRead((_chunk, bytes) => turned(bytes)),
  'false-have': withRead(() => {
    throw new PotluckError('CHUNK_NOT_HELD', 'not really')
  }),
  silence: withRead(() => new Promise<Uint8Array>(() => undefined)),
  'now and then': withRead((chunk, bytes) => (chunk % 7 === 0 ? turned(bytes) : bytes)),
}

describe('swarm, with liars in it', function () {
  this.timeout(60_000)
  let street: SwarmStreet
  beforeEach(() => {
    street = createSwarmStreet()
  })
  afterEach(() => street.stop())

  it('completes with three liars in ten, at little cost, and names them with evidence', async () => {
    const bundle = randomBundle(8 * MiB, 4 * MiB)
    const cache = await street.home({
      ...uplink(4 * MiB),
      with: { ...uplink(4 * MiB).with, seed },
    })
    await cache.fill(bundle)
    const honest = await Promise.all(Array.from({ length: 7 }, () => street.home(uplink(4 * MiB))))
    const kinds = ['wrong-chunk', 'false-have', 'silence']
    const liars = new Map<string, Home>()
    for (const kind of kinds) {
      const wrap = lies[kind]
      const liar = await street.home({ ...uplink(4 * MiB), ...(wrap ? { wrap } : {}) })
      await liar.fill(bundle)
      liars.set(kind, liar)
    }
    // Liars first: they are dialled, and so found out, however little of the CPU is left for us.
    const all = [cache, ...liars.values(), ...honest]
    const downloads = honest.map((home) =>
      getBundle(home, bundle, all, { signal: AbortSignal.timeout(50_000) }),
    )
    let cameBytes = 0
    for (const [at, { done }] of downloads.entries()) {
      await expectWhole(await done, bundle)
      cameBytes += honest[at]?.swarm.stats().downloadedBytes ?? 0
    }
    const moreBytes = cameBytes / (honest.length * bundle.travelBytes) - 1
    expect(moreBytes, 'bytes that came in vain').to.be.below(0.15)

    const accused = honest.flatMap(({ misbehaviours }) => misbehaviours)
    const liarOf = (kind: string) => liars.get(kind)?.address.peer
    const [wrong, refusing] = [liarOf('wrong-chunk'), liarOf('false-have')]
    // Who is merely silent may be on a bad line: it is left for others, not accused.
    expect(new Set(accused.map(({ peer }) => peer))).to.deep.equal(new Set([wrong, refusing]))
    for (const { peer, kind, chunk, expectedName, gotName, detail } of accused) {
      expect(kind).to.equal(peer === wrong ? 'wrong-chunk' : 'false-have')
      expect(chunk).to.be.within(0, bundle.chunks.length - 1)
      if (kind === 'wrong-chunk')
        expect(gotName)
          .to.match(/^[0-9a-f]{64}$/)
          .and.not.equal(expectedName)
      else expect(detail).to.match(/refused/)
    }
  })

  it('asks no liar again once it was found out, and serves it no more when it goes on', async () => {
    const roundsMax = 10
    const liar = await street.home({ ...(lies['now and then'] && { wrap: lies['now and then'] }) })
    const honest = await street.home(uplink(2 * MiB))
    const home = await street.home()
    // Which chunks it is asked for is drawn: it may tell the truth all through a bundle.
    for (let round = 0; round < roundsMax && home.misbehaviours.length < 2; round++) {
      const bundle = randomBundle(MiB)
      await liar.fill(bundle)
      await honest.fill(bundle)
      await expectWhole(await getBundle(home, bundle, [liar, honest]).done, bundle)
    }
    expect(home.misbehaviours.map(({ kind }) => kind)).to.include('wrong-chunk')
    expect(home.misbehaviours).to.have.length.of.at.least(2)
    const third = randomBundle(MiB)
    await liar.fill(third)
    await honest.fill(third)
    const before = home.misbehaviours.length
    const download = getBundle(home, third, [liar, honest])
    await expectWhole(await download.done, third)
    expect(download.progress().fromPeer.has(liar.address.peer)).to.equal(false)
    expect(home.misbehaviours).to.have.length(before)
    const mine = randomBundle(1_000)
    await home.fill(mine)
    const refused = getBundle(liar, mine, [home], { signal: AbortSignal.timeout(1_500) })
    expect(await refused.done.catch(() => 'not served')).to.equal('not served')
  })

  it('blames nobody whose line is cut, whose link is slow or who leaves', async () => {
    const bundle = randomBundle(3 * MiB)
    const [cut, slow, steady] = await Promise.all([
      street.home(uplink(2 * MiB)),
      street.home(uplink(64 * 1024)),
      street.home(uplink(2 * MiB)),
    ])
    for (const holder of [cut, slow, steady]) await holder.fill(bundle)
    const homes = await Promise.all([street.home(uplink(MiB)), street.home(uplink(MiB))])
    const all = [cut, slow, steady, ...homes]
    const downloads = homes.map((home) => getBundle(home, bundle, all))
    const cutting = setInterval(() => {
      for (const connection of cut.mesh.getConnections()) connection.abort(new Error('cut'))
    }, 150)
    try {
      for (const { done } of downloads) await expectWhole(await done, bundle)
    } finally {
      clearInterval(cutting)
    }
    for (const home of all) expect(home.misbehaviours).to.deep.equal([])
  })
})
