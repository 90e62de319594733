import { expect } from 'chai'
import { FakeClock } from '../clock.ts'
import { HaveTeller, homeHaveDelayMs } from './have-teller.ts'
import { createTokenBucket } from './token-bucket.ts'

const delayMs = 30
const longMs = 250

function setUp({ burstBytes = 1e6, bytesPerS = 1e6, delayMs = (): number => 30 } = {}) {
  const clock = new FakeClock()
  const allowance = createTokenBucket(burstBytes)
  allowance.setRate(bytesPerS, 0)
  const told: { atMs: number; runs: number[] }[] = []
  const unwanted = new Set<number>()
  const teller = new HaveTeller({
    ...{ delayMs, clock, allowance },
    wants: (chunk) => !unwanted.has(chunk),
    write: async (runs) => {
      told.push({ atMs: clock.nowMs(), runs })
    },
    onFault: (error) => {
      throw error
    },
  })
  return { clock, teller, told, unwanted }
}

describe('swarm/have-teller', () => {
  it('tells a burst in one message, of what is still wanted then', async () => {
    const { clock, teller, told, unwanted } = setUp()
    for (const chunk of [4, 5, 6, 20]) teller.add(chunk)
    unwanted.add(20)
    await clock.advance(delayMs - 1)
    expect(told).to.deep.equal([])
    await clock.advance(1)
    expect(told).to.deep.equal([{ atMs: delayMs, runs: [4, 3] }])
    await clock.advance(10 * delayMs)
    expect(told).to.have.length(1)
    teller.add(7)
    await clock.advance(delayMs)
    expect(told[1]?.runs).to.deep.equal([7, 1])
  })

  it('tells of many before of few', async () => {
    const { clock, teller, told } = setUp({ delayMs: () => longMs })
    teller.add(0)
    await clock.advance(longMs - 1)
    expect(told).to.deep.equal([])
    await clock.advance(1)
    expect(told).to.deep.equal([{ atMs: longMs, runs: [0, 1] }])
    for (let chunk = 1; chunk <= 100; chunk++) {
      teller.add(chunk)
      await clock.advance(5)
    }
    await clock.advance(longMs)
    // Sixteen chunks take 80 ms.
    expect(told.length - 1).to.be.within(5, 8)
  })

  it("tells of a home's first chunks soon, and gathers news of later ones", async () => {
    const { clock, teller, told } = setUp({ delayMs: () => homeHaveDelayMs(heldChunks) })
    let heldChunks = 0
    for (; heldChunks < 40; await clock.advance(50)) {
      heldChunks += 1
      teller.add(heldChunks)
    }
    await clock.advance(longMs)
    const counts = told.map(({ runs }) => runs[1])
    expect(counts.slice(0, 8), 'each by itself').to.deep.equal(Array(8).fill(1))
    expect(counts.slice(8)).to.deep.equal([5, 5, 5, 5, 5, 5, 2])
  })

  it('tells more at once, not more often, than the allowance pays for', async () => {
    const { clock, teller, told } = setUp({ burstBytes: 130, bytesPerS: 650 })
    const endMs = 4_000
    for (let chunk = 0; clock.nowMs() < endMs; chunk++) {
      teller.add(chunk)
      await clock.advance(10)
    }
    expect(told.length).to.be.within(15, 21)
    const chunks = told.reduce((sum, { runs }) => sum + (runs[1] ?? 0), 0)
    expect(chunks).to.be.above(350)
  })

  it('tells nothing once it was stopped or cleared', async () => {
    const { clock, teller, told } = setUp()
    teller.add(1)
    teller.clear()
    await clock.advance(2 * delayMs)
    teller.add(2)
    teller.stop()
    await clock.advance(2 * delayMs)
    expect(told).to.deep.equal([])
  })
})
