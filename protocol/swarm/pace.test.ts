import { expect } from 'chai'
import { FakeClock } from '../clock.ts'
import { createCredit, creditBytesMax } from './credit.ts'
import { createSpread } from './spread.ts'
import { countingWire, createTokenBucket } from './token-bucket.ts'
import { wireBytes } from './wire-bytes.ts'

describe('swarm/token-bucket', () => {
  it('keeps the rate over time, and bursts by no more than it may', () => {
    const bucket = createTokenBucket(64)
    bucket.setRate(1000, 0)
    let sent = 0
    let nowMs = 0
    while (nowMs < 10_000) {
      const waitMs = bucket.waitMs(64, nowMs)
      if (waitMs > 0) nowMs += waitMs
      else {
        bucket.take(64, nowMs)
        sent += 64
      }
    }
    expect(sent).to.be.within(9_800, 10_000 + 2 * 64)
  })

  it('lets what is bigger than a burst through, and makes the next one wait for it', () => {
    const bucket = createTokenBucket(10)
    bucket.setRate(100, 0)
    expect(bucket.waitMs(1000, 0)).to.equal(0)
    bucket.take(1000, 0)
    expect(bucket.waitMs(1, 0)).to.be.within(9_900, 9_920)
  })

  it('follows a change of the limit, and none is none', () => {
    const bucket = createTokenBucket(10)
    bucket.take(1e9, 0)
    expect(bucket.waitMs(1e9, 0)).to.equal(0)
    bucket.setRate(10, 0)
    bucket.take(10, 0)
    expect(bucket.waitMs(10, 0)).to.equal(1000)
    bucket.setRate(1000, 0)
    expect(bucket.waitMs(10, 0)).to.equal(10)
    bucket.setRate(undefined, 0)
    expect(bucket.waitMs(10, 0)).to.equal(0)
  })
})

describe('swarm/token-bucket: the line', () => {
  it('gives back what was not used', () => {
    const bucket = createTokenBucket(10)
    bucket.setRate(10, 0)
    bucket.take(30, 0)
    expect(bucket.waitMs(10, 0)).to.equal(3000)
    bucket.giveBack(20, 0)
    expect(bucket.waitMs(10, 0)).to.equal(1000)
    bucket.giveBack(1e9, 0)
    expect(bucket.waitMs(1e9, 0), 'never more than a burst').to.equal(0)
  })

  it('loses nothing to a stall of the process that is shorter than the burst', () => {
    const rate = 12_500_000
    const bucket = createTokenBucket(65_536, 100)
    bucket.setRate(rate, 0)
    bucket.take(rate / 10, 0)
    let sent = 0
    for (let nowMs = 0; nowMs < 10_000; nowMs += 90) {
      while (bucket.waitMs(1, nowMs) === 0) {
        bucket.take(65_536, nowMs)
        sent += 65_536
      }
    }
    expect(sent / (10 * rate)).to.be.within(0.98, 1.02)
  })

  it('counts what the line carries for a payload', () => {
    expect(wireBytes(65_552) / 65_552).to.be.within(1.04, 1.055)
    expect(wireBytes(65_552, 8_192) / 65_552, 'in pieces').to.be.within(1.08, 1.1)
    expect(wireBytes(0)).to.equal(0)
    const [up, down] = [createTokenBucket(65_552), createTokenBucket(10)]
    up.setRate(1_250_000, 0)
    down.setRate(1_000, 0)
    const uploads = countingWire(up, down)
    uploads.take(65_552, 0)
    uploads.take(65_552, 0)
    expect(uploads.waitMs(65_552, 0)).to.be.within(1_000 * (131_104 / 1.25e6), 115)
    const acksMs = down.waitMs(1, 0)
    expect(acksMs, 'acknowledgements come back').to.be.within(800, 1_000)
  })
})

describe('swarm/spread', () => {
  it('sends a chunk in pieces that take as long as the line, or whole where that is short', async () => {
    const clock = new FakeClock()
    const { signal } = new AbortController()
    const spread = createSpread({ clock, signal })
    expect(spread.pace()).to.equal(undefined)
    spread.setRate(250_000)
    const pace = spread.pace()
    expect(pace?.pieceBytes).to.equal(8_192)
    let passed = 0
    const sending = (async () => {
      for (let piece = 0; piece < 8; piece++) {
        await pace?.turn(8_192)
        passed += 1
      }
    })()
    await new Promise((resolve) => setImmediate(resolve))
    await clock.advance(100)
    expect(passed, 'not all at once').to.be.within(3, 5)
    await clock.advance(150)
    await sending
    spread.setRate(12_500_000)
    expect(spread.pace(), 'a chunk in 5 ms needs no pieces').to.equal(undefined)
  })
})

describe('swarm/credit', () => {
  const chunk = 64 * 1024

  it('starts with two chunks, and grows to what rate and round trip ask for', () => {
    const credit = createCredit()
    expect(credit.allowedBytes(chunk, 0)).to.equal(2 * chunk)
    credit.asked(0)
    credit.answered(90)
    for (let nowMs = 0; nowMs < 4_000; nowMs += 10) credit.arrived(5_000, nowMs)
    expect(credit.bytesPerS(4_000)).to.be.within(4.5e5, 5.1e5)
    // The round trip, and the 400 ms that a queue may be long.
    expect(credit.allowedBytes(chunk, 4_000)).to.be.within(220_000, 250_000)
  })

  it('is never above three mebibytes, nor below a chunk', () => {
    const credit = createCredit()
    credit.asked(0)
    for (let nowMs = 0; nowMs < 1_000; nowMs += 1) credit.arrived(10 * chunk, nowMs)
    expect(credit.allowedBytes(chunk, 1_000)).to.equal(creditBytesMax)
    expect(credit.allowedBytes(1 << 20, 60_000), 'forgotten').to.equal(2 << 20)
    credit.asked(60_000)
    credit.arrived(1_000, 61_000)
    expect(credit.allowedBytes(chunk, 61_000), 'of a slow one').to.equal(chunk)
  })

  it('forgets after two seconds, and does not take silence without a request for slowness', () => {
    const credit = createCredit()
    credit.asked(0)
    for (let nowMs = 0; nowMs < 1_000; nowMs += 10) credit.arrived(1_000, nowMs)
    expect(credit.bytesPerS(3_500)).to.equal(0)
    credit.asked(60_000)
    credit.arrived(10_000, 60_100)
    expect(credit.bytesPerS(60_100)).to.be.closeTo(100_000, 1_000)
  })
})
