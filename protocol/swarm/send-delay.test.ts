import { expect } from 'chai'
import { FakeClock } from '../clock.ts'
import type { PeerId } from '../ids.ts'
import { SendDelay } from './send-delay.ts'
import { createTokenBucket } from './token-bucket.ts'
import { type Requester, Uploader } from './uploader.ts'

describe('swarm/send-delay', () => {
  /** A receiver each 100 ms, whose chunks take `delayMs` and wait `waitMs` on our side. */
  function street(...baseMs: number[]) {
    const delays = new SendDelay<{ baseMs: number }>()
    const receivers = baseMs.map((ms) => ({ baseMs: ms }))
    let nowMs = 0
    const come = (waitMs: (at: number) => number, count: number, sentMs?: number): number => {
      let pauseMs = 0
      for (let number = 0; number < count; number++) {
        nowMs += 100
        const at = number % receivers.length
        const receiver = receivers[at]!
        const delayMs = receiver.baseMs + waitMs(at)
        pauseMs += delays.arrived(receiver, { sentMs: sentMs ?? nowMs - delayMs, delayMs }, nowMs)
      }
      return pauseMs
    }
    const pass = (ms: number): void => {
      nowMs += ms
    }
    return { come, pass, nowMs: () => nowMs }
  }

  it('pauses for what waits beyond 100 ms, however far receivers are', () => {
    const { come } = street(40, 900, 300)
    expect(come(() => 0, 30)).to.equal(0)
    expect(come(() => 100, 30)).to.equal(0)
    expect(come(() => 250, 9)).to.equal(150)
  })

  it('believes the least of all: one that is slow, or says so late, holds up nobody', () => {
    const { come } = street(40, 40, 40)
    come(() => 0, 3)
    expect(come((at) => (at === 2 ? 20 : 5_000), 30)).to.equal(0)
  })

  it('pauses once for what was sent before the pause, and at most a second', () => {
    const { come, nowMs } = street(40)
    come(() => 0, 1)
    expect(come(() => 9_000, 6)).to.equal(1_000)
    expect(come(() => 9_000, 30, nowMs() - 1)).to.equal(0)
    expect(come(() => 9_000, 6, nowMs())).to.equal(1_000)
  })

  it('pauses for ten minutes on a line that became slower to all, and then takes it as it is', () => {
    const { come, nowMs } = street(40, 900)
    come(() => 0, 20)
    for (let minute = 1; minute < 10; minute++) {
      expect(
        come(() => 400, 600),
        `minute ${minute}`,
      ).to.be.above(0)
    }
    come(() => 400, (600_000 - nowMs()) / 100)
    expect(come(() => 400, 600)).to.equal(0)
    expect(come(() => 550, 600)).to.be.above(0)
  })

  it('has nothing to compare with after ten minutes of silence', () => {
    const { come, pass } = street(40)
    come(() => 0, 1)
    pass(600_000)
    expect(come(() => 400, 60)).to.equal(0)
  })

  it('has an uploader pause', async () => {
    const clock = new FakeClock()
    const bucket = createTokenBucket(1)
    bucket.setRate(1_000, clock.nowMs())
    const uploader = new Uploader(
      { uploadBytesPerS: () => 1_000 },
      { bucket, clock, random: Math.random, signal: new AbortController().signal },
    )
    const requester = { peer: 'a' as PeerId } as Requester
    for (const delayMs of [40, 640, 640]) {
      expect(bucket.waitMs(1, clock.nowMs())).to.equal(0)
      await clock.advance(700)
      uploader.arrived(requester, { sentMs: clock.nowMs() - delayMs, delayMs })
    }
    expect(bucket.waitMs(1, clock.nowMs())).to.equal(500)
  })
})
