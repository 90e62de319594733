import { hash } from 'node:crypto'
import { expect } from 'chai'
import {
  createSwarmStreet,
  expectWhole,
  getBundle as get,
  randomBundle,
  type SwarmStreet,
  toyTicket,
  until,
  withRead,
  wrapBundles,
} from './swarm.fixture.ts'
import { chunksLaneProtocol, chunksProtocol } from './wire.ts'

const MiB = 1 << 20

describe('swarm', function () {
  this.timeout(30_000)
  let street: SwarmStreet
  beforeEach(() => {
    street = createSwarmStreet()
  })
  afterEach(() => street.stop())

  it('brings a bundle from one seed to four homes, which also feed each other', async () => {
    const bundle = randomBundle(2_000, 3 * MiB, 2 * MiB + 17)
    // Without a limit it is done before the homes have dialled one another.
    const seed = await street.home({ init: { limits: { uploadBytesPerS: 4 * MiB } } })
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
      expect(home.swarm.stats().duplicateBytes).to.be.below(0.1 * bundle.travelBytes)
    }
  })

  it('takes chunks over a lane, past the muxer', async () => {
    const bundle = randomBundle(MiB)
    const [seed, home] = [await street.home(), await street.home()]
    await seed.fill(bundle)
    const download = get(home, bundle, [seed])
    await download.descriptor
    const protocols = home.mesh
      .getConnections()
      .flatMap(({ streams }) => streams.map(({ protocol }) => protocol))
    expect(protocols).to.include(chunksLaneProtocol).and.not.include(chunksProtocol)
    await expectWhole(await download.done, bundle)
  })

  it('throws wrong chunks away, says who sent them, and gets them from another', async () => {
    const bundle = randomBundle(2 * MiB)
    const liar = await street.home({ wrap: withRead((chunk, bytes) => spoil(chunk, bytes)) })
    const honest = await street.home({ init: { limits: { uploadBytesPerS: 4 * MiB } } })
    const home = await street.home()
    await Promise.all([liar.fill(bundle), honest.fill(bundle)])
    const download = get(home, bundle, [liar, honest])
    await expectWhole(await download.done, bundle)
    const { wrongChunks } = home.swarm.stats()
    expect(wrongChunks).to.be.above(0)
    expect(home.misbehaviours.length).to.equal(wrongChunks)
    for (const what of home.misbehaviours) {
      expect(what).to.include({
        peer: liar.address.peer,
        bundle: bundle.id,
        kind: 'wrong-chunk',
      })
      const right = bundle.chunks[what.chunk!]!
      expect(what.expectedName).to.equal(hash('sha256', right, 'hex'))
      expect(what.gotName).to.equal(hash('sha256', spoil(what.chunk!, right), 'hex'))
    }
    // It was left at once: no more came than had been asked for when it was found out.
    expect(wrongChunks).to.be.below(bundle.chunks.length)
  })

  it('blames the sender of a wrong descriptor, and gets it from another', async () => {
    const bundle = randomBundle(MiB / 2)
    const liar = await street.home({
      wrap: (store) =>
        wrapBundles(store, { descriptorBytes: () => bundle.descriptorBytes.map((b) => b ^ 1) }),
    })
    const honest = await street.home()
    const home = await street.home()
    await Promise.all([liar.fill(bundle), honest.fill(bundle)])
    const download = get(home, bundle, [liar])
    await until(() => home.misbehaviours.length > 0)
    download.addHints([honest.address])
    await expectWhole(await download.done, bundle)
    expect(home.misbehaviours).to.have.length(1)
    expect(home.misbehaviours[0]).to.include({ peer: liar.address.peer, kind: 'wrong-descriptor' })
  })

  it('goes on when a holder is killed in the middle', async () => {
    const bundle = randomBundle(6 * MiB)
    const limits = { uploadBytesPerS: 4 * MiB }
    const [first, second] = await Promise.all([
      street.home({ init: { limits } }),
      street.home({ init: { limits } }),
    ])
    const home = await street.home()
    await Promise.all([first.fill(bundle), second.fill(bundle)])
    const download = get(home, bundle, [first, second])
    await until(() => download.progress().fromPeer.has(first.address.peer))
    await first.kill()
    await expectWhole(await download.done, bundle)
    expect(download.progress().fromPeer.get(second.address.peer)).to.be.above(0)
    expect(home.misbehaviours).to.deep.equal([])
  })

  it('survives a holder that comes late, and hints that lead nowhere', async () => {
    const bundle = randomBundle(MiB)
    const home = await street.home()
    const gone = await street.home()
    const stranger = await street.home()
    await gone.kill()
    const download = get(home, bundle, [gone, stranger])
    const late = await street.home()
    await late.fill(bundle)
    download.addHints([late.address])
    await expectWhole(await download.done, bundle)
    expect(download.progress().fromPeer.size).to.equal(1)
    expect(home.misbehaviours).to.deep.equal([])
  })

  it('joins a home at once that starts later, though it was turned away before', async () => {
    const bundle = randomBundle(2 * MiB)
    const seed = await street.home({ init: { limits: { uploadBytesPerS: 2 * MiB } } })
    const early = await street.home({ with: { random: () => 0.999 } })
    const later = await street.home()
    await seed.fill(bundle)
    const first = get(early, bundle, [later])
    // Turned away at about 0, 0.5, 1.2 and 2.2 s, it would not knock again for two more.
    await new Promise((resolve) => setTimeout(resolve, 2_600))
    const second = get(later, bundle, [seed, early])
    await until(() => second.progress().bytesDone > 0)
    const startMs = performance.now()
    await until(() => first.progress().bytesDone > 0)
    expect(performance.now() - startMs).to.be.below(1_000)
    await Promise.all([first.done, second.done])
    expect(first.progress().fromPeer.get(later.address.peer)).to.be.above(bundle.travelBytes / 2)
    expect(second.progress().fromPeer.get(seed.address.peer)).to.be.above(bundle.travelBytes / 2)
  })

  it('takes over a chunk from a sender that holds it back', async () => {
    const bundle = randomBundle(MiB)
    let held = 0
    const never = new Promise<Uint8Array>(() => undefined)
    const silent = await street.home({
      wrap: withRead(() => {
        held += 1
        return never
      }),
    })
    const home = await street.home()
    await silent.fill(bundle)
    const download = get(home, bundle, [silent])
    await until(() => held > 0)
    const honest = await street.home()
    await honest.fill(bundle)
    download.addHints([honest.address])
    await expectWhole(await download.done, bundle)
    expect(download.progress().fromPeer.get(honest.address.peer)).to.equal(bundle.travelBytes)
    expect(home.misbehaviours).to.deep.equal([])
  })

  it('shares a download between callers, and ends it when the last has left', async () => {
    const bundle = randomBundle(MiB)
    const home = await street.home()
    const [one, two] = [new AbortController(), new AbortController()]
    const first = get(home, bundle, [], { signal: one.signal })
    const second = get(home, bundle, [], { signal: two.signal })
    one.abort(new Error('first is gone'))
    expect((await first.done.catch((error) => error)).message).to.equal('first is gone')
    const seed = await street.home()
    await seed.fill(bundle)
    second.addHints([seed.address])
    await second.descriptor
    await expectWhole(await second.done, bundle)

    const lonely = randomBundle(1000)
    const third = get(home, lonely, [], { signal: two.signal })
    two.abort(new Error('second is gone'))
    expect((await third.done.catch((error) => error)).message).to.equal('second is gone')
    expect((await third.descriptor.catch((error) => error)).message).to.equal('second is gone')
  })

  it('needs nothing when all is held, and resumes when some is', async () => {
    const bundle = randomBundle(2 * MiB)
    const [seed, whole, half] = await Promise.all([street.home(), street.home(), street.home()])
    await seed.fill(bundle)
    await whole.fill(bundle)
    await half.fill(bundle, (chunk) => chunk % 2 === 0)
    await expectWhole(await get(whole, bundle, []).done, bundle)
    expect(whole.swarm.stats().downloadedBytes).to.equal(0)
    const download = get(half, bundle, [seed])
    await expectWhole(await download.done, bundle)
    expect(download.progress().bytesDone).to.equal(bundle.travelBytes)
    expect(download.progress().fromPeer.get(seed.address.peer)).to.be.below(
      0.6 * bundle.travelBytes,
    )
  })

  it('keeps to its limits, which may change at any time', async () => {
    const bundle = randomBundle(MiB)
    const seed = await street.home({ init: { limits: { uploadBytesPerS: 512 * 1024 } } })
    const home = await street.home()
    await seed.fill(bundle)
    const startMs = performance.now()
    const download = get(home, bundle, [seed])
    await until(() => download.progress().bytesDone > bundle.travelBytes / 2)
    expect(performance.now() - startMs).to.be.above(600)
    const changeMs = performance.now()
    seed.swarm.setLimits({})
    await download.done
    expect(performance.now() - changeMs).to.be.below(600)
  })

  it('renews an expired ticket and goes on', async () => {
    const bundle = randomBundle(2 * MiB)
    const seed = await street.home({ init: { limits: { uploadBytesPerS: 3 * MiB } } })
    const home = await street.home()
    await seed.fill(bundle)
    const asked: number[] = []
    let expiresMs = 100
    const download = get(home, bundle, [seed], {
      ticket: () => {
        asked.push(expiresMs)
        return toyTicket(home.address.peer, bundle.id, expiresMs)
      },
    })
    await until(() => download.progress().bytesDone > 0)
    expiresMs = 1000
    street.setTime(500)
    await expectWhole(await download.done, bundle)
    expect(asked).to.deep.equal([100, 1000])
  })

  it('stops, twice, with a download under way', async () => {
    const bundle = randomBundle(MiB)
    const home = await street.home()
    const download = get(home, bundle, [])
    await home.swarm.stop()
    await home.swarm.stop()
    expect((await download.done.catch((error) => error)).code).to.equal('DOWNLOAD_STOPPED')
    const late = get(home, bundle, [])
    expect((await late.done.catch((error) => error)).code).to.equal('DOWNLOAD_STOPPED')
  })
})

/** Every third chunk with a bit turned. */
function spoil(chunk: number, bytes: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(bytes)
  if (chunk % 3 === 0) copy[5] = (copy[5] ?? 0) ^ 4
  return copy
}
