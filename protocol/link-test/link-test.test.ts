import { randomBytes } from 'node:crypto'
import { expect } from 'chai'
import type { Clock } from '../clock.ts'
import { errorCode } from '../errors.ts'
import type { PeerId } from '../ids.ts'
import { silentLogger } from '../log/index.ts'
import { dialPeer, type Mesh, peerIdOf } from '../mesh/index.ts'
import { addressOf, createMeshStreet } from '../mesh/mesh.fixture.ts'
import { transferClock } from '../swarm/index.ts'
import { openChannel } from '../wire/index.ts'
import { createLinkTests, type LinkRate, type LinkTests, measureLink } from './index.ts'
import { Arrivals, nextRound, rateOf } from './rounds.ts'
import {
  bitsPerSMax,
  linkTestProtocol,
  pieceBytes,
  proofOf,
  roundBytesMax,
  type TestAsk,
  testAnswerCodec,
  testAskCodec,
  testBytesMax,
  testChannel,
} from './wire.ts'

const soon = () => ({ signal: AbortSignal.timeout(10_000) })

describe('link-test: rounds', () => {
  /** What a line of this rate would take, and what the rounds find. */
  const measure = (lineBytesPerS: number): { found: number; bytes: number } => {
    let total = 0
    let found = 0
    let last: { bytes: number; ms: number } | undefined
    for (let bytes = nextRound(); bytes !== undefined; bytes = nextRound(last)) {
      const arrivals = new Arrivals(0)
      for (let got = pieceBytes; got <= bytes; got += pieceBytes) {
        arrivals.add(pieceBytes, (got * 1_000) / lineBytesPerS)
      }
      total += bytes
      found = arrivals.bitsPerS()
      last = { bytes, ms: arrivals.ms }
    }
    return { found, bytes: total }
  }

  it('finds the rate of slow and fast lines, with a volume that fits them', () => {
    for (const mbit of [1, 10, 100, 1_000]) {
      const payload = (mbit * 1e6) / 8 / 1.05
      const { found, bytes } = measure(payload)
      expect(found / (mbit * 1e6), `${mbit} Mbit/s`).to.be.within(0.97, 1.03)
      expect(bytes).to.be.at.most(testBytesMax)
      expect(bytes / payload, 'seconds').to.be.below(2)
    }
    expect(measure(125_000 / 1.05).bytes, 'a slow line is spared').to.be.at.most(128 * 1024)
  })

  it('never says more than a few milliseconds can tell', () => {
    expect(rateOf(roundBytesMax, 0)).to.equal(bitsPerSMax)
    expect(new Arrivals(0).bitsPerS()).to.equal(0)
  })
})

describe('link-test', () => {
  const street = createMeshStreet()
  const secret = new Uint8Array(randomBytes(32))
  const measured = new Map<PeerId, LinkRate>()
  let node: Mesh
  let cache: Mesh
  let tests: LinkTests
  let busy = false
  let skewMs = 0
  const clock: Clock = { ...transferClock, nowMs: () => transferClock.nowMs() + skewMs }

  before(async () => {
    node = await street.host()
    cache = await street.host()
    tests = createLinkTests({
      ...{ mesh: cache, clock, secret: () => secret, isBusy: () => busy, logger: silentLogger },
      onMeasured: (peer, rate) => measured.set(peer, rate),
    })
    await tests.start()
  })
  beforeEach(() => {
    skewMs += 61_000
    busy = false
    measured.clear()
  })
  after(async () => {
    await tests.stop()
    await tests.stop().catch(() => expect.fail('stopping twice'))
    await street.stop()
  })

  const ask = (by = node, key = secret) =>
    measureLink(addressOf(cache), { mesh: by, clock: transferClock, secret: key }, soon())
  const refusalOf = (asked: Promise<unknown>) =>
    asked.then(
      () => 'MEASURED',
      (error: Error) => /: ([A-Z_]+)$/.exec(error.message)?.[1],
    )
  const channelTo = async (by = node) => {
    const connection = await dialPeer(by, addressOf(cache), soon())
    const stream = await connection.newStream(linkTestProtocol, soon())
    const codecs = { inbound: testAnswerCodec, outbound: testAskCodec }
    return openChannel(stream, { ...codecs, ...testChannel })
  }
  const greeting = (): TestAsk => ({
    t: 'ask',
    proof: proofOf(secret, peerIdOf(node.peerId), peerIdOf(cache.peerId)),
  })

  it('measures both ways, and the cache knows what it saw', async () => {
    const rate = await ask()
    const seen = measured.get(peerIdOf(node.peerId))
    expect(rate.upBitsPerS).to.equal(seen?.upBitsPerS)
    expect(rate.downBitsPerS).to.be.within(1, seen?.downBitsPerS ?? 0)
    expect(rate.upBitsPerS).to.be.above(1e6)
  })

  it('refuses strangers, the proof of another, who asks again, and all while it is busy', async () => {
    const other = await street.host()
    expect(await refusalOf(ask(node, new Uint8Array(32)))).to.equal('STRANGER')
    const borrowed = await channelTo(other)
    await borrowed.write(greeting(), soon())
    const { message } = await borrowed.read(soon())
    expect(message).to.deep.equal({ t: 'refused', code: 'STRANGER' })
    busy = true
    expect(await refusalOf(ask())).to.equal('BUSY')
    busy = false
    expect(await refusalOf(ask())).to.equal('MEASURED')
    expect(await refusalOf(ask())).to.equal('TOO_SOON')
    expect(await refusalOf(ask(other))).to.equal('MEASURED')
  })

  it('tests one at a time, and is free again when that one is gone', async () => {
    const other = await street.host()
    const open = await channelTo(other)
    const proof = proofOf(secret, peerIdOf(other.peerId), peerIdOf(cache.peerId))
    await open.write({ t: 'ask', proof }, soon())
    expect((await open.read(soon())).message.t).to.equal('go')
    expect(await refusalOf(ask())).to.equal('BUSY')
    await open.write({ t: 'done' }, soon())
    expect((await open.read(soon())).message.t).to.equal('result')
    expect(await refusalOf(ask())).to.equal('MEASURED')
  })

  it('does not believe that bytes came before they did', async () => {
    const channel = await channelTo()
    await channel.write(greeting(), soon())
    expect((await channel.read(soon())).message.t).to.equal('go')
    await channel.write({ t: 'send', bytes: pieceBytes }, soon())
    await channel.write({ t: 'got', token: new Uint8Array(16) }, soon())
    await channel.write({ t: 'done' }, soon())
    await channel.read(soon())
    expect(await channel.read(soon()).catch(errorCode)).to.equal('CHANNEL_CLOSED')
    expect(measured.size).to.equal(0)
  })

  it('ends a test that takes more than its share', async () => {
    const channel = await channelTo()
    await channel.write(greeting(), soon())
    await channel.read(soon())
    let code: string | undefined
    try {
      for (let round = 0; round < 3; round++) {
        await channel.write({ t: 'send', bytes: roundBytesMax }, soon())
        let token = new Uint8Array(16)
        for (let got = 0; got < roundBytesMax; ) {
          const { body } = await channel.read(soon())
          got += body.length
          token = body.slice(-16)
        }
        await channel.write({ t: 'got', token }, soon())
      }
    } catch (error) {
      code = errorCode(error)
    }
    expect(code).to.equal('CHANNEL_CLOSED')
    expect(measured.size).to.equal(0)
  })
})
