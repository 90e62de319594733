import { expect } from 'chai'
import { createCredit, creditBytesMax } from './credit.ts'
import { createTokenBucket } from './token-bucket.ts'

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

describe('swarm/credit', () => {
  const chunk = 64 * 1024

  it('starts with two chunks, and grows to what rate and round trip ask for', () => {
    const credit = createCredit()
    expect(credit.allowedBytes(chunk, 0)).to.equal(2 * chunk)
    credit.asked(0)
    credit.answered(90)
    for (let nowMs = 0; nowMs < 4_000; nowMs += 10) credit.arrived(50_000, nowMs)
    expect(credit.bytesPerS(4_000)).to.be.within(4.5e6, 5.1e6)
    expect(credit.allowedBytes(chunk, 4_000)).to.be.within(600_000, 720_000)
  })

  it('is never above a mebibyte, nor below two chunks', () => {
    const credit = createCredit()
    credit.asked(0)
    for (let nowMs = 0; nowMs < 1_000; nowMs += 1) credit.arrived(10 * chunk, nowMs)
    expect(credit.allowedBytes(chunk, 1_000)).to.equal(creditBytesMax)
    expect(credit.allowedBytes(1 << 20, 60_000)).to.equal(2 << 20)
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
