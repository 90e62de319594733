import { expect } from 'chai'
import { createHeadroom, firstBytesPerS, type Headroom, uplinkShare } from './headroom.ts'

const stepMs = 250
const mbit = 125_000

/**
 * A home's line: a queue before the modem that what is sent fills and the line drains; the round
 * trip is the path's own and the wait in that queue.
 */
function createHome(headroom: Headroom, lineBytesPerS: number) {
  let nowMs = 0
  let queued = 0
  const home = {
    pathMs: 20,
    /** What the chef sends besides. */
    ownBytesPerS: 0,
    rate: 0,
    queueMs: () => (queued * 1_000) / lineBytesPerS,
    /** Goes on for `ms` with `wanted` bytes a second asked of the node. */
    run(ms: number, wanted = Number.POSITIVE_INFINITY) {
      for (const endMs = nowMs + ms; nowMs < endMs; nowMs += stepMs) {
        const sent = (Math.min(wanted, home.rate) * stepMs) / 1_000
        const own = (home.ownBytesPerS * stepMs) / 1_000
        queued = Math.max(0, queued + sent + own - (lineBytesPerS * stepMs) / 1_000)
        // A modem's queue is long, not endless.
        queued = Math.min(queued, lineBytesPerS * 2)
        headroom.roundTrip(home.pathMs + home.queueMs(), nowMs)
        home.rate = headroom.step(sent, nowMs)
      }
    },
  }
  home.rate = headroom.step(0, 0)
  return home
}

describe('node/bandwidth: headroom', () => {
  it('begins with little, and doubles while it is calm and more is asked of it', () => {
    const headroom = createHeadroom()
    const home = createHome(headroom, 1_000 * mbit)
    home.run(4_000, 0)
    expect(home.rate, 'nothing is asked').to.equal(firstBytesPerS)
    home.run(20_000)
    expect(home.rate).to.be.above(16 * firstBytesPerS)
  })

  it('finds a line that nobody has measured, and does not fill its queue for long', () => {
    const headroom = createHeadroom()
    const home = createHome(headroom, 20 * mbit)
    home.run(30_000)
    expect(home.rate / (20 * mbit)).to.be.within(0.5, 1.1)
    home.run(60_000)
    expect(home.queueMs()).to.be.below(100)
  })

  it('leaves a share of the measured line free, and no queue', () => {
    const headroom = createHeadroom()
    headroom.measured(10 * mbit)
    const home = createHome(headroom, 10 * mbit)
    home.run(60_000)
    expect(home.rate).to.equal(10 * mbit * uplinkShare)
    expect(home.queueMs()).to.equal(0)
  })

  it('gives way to the home’s own upload, and takes back slowly what becomes free', () => {
    const headroom = createHeadroom()
    headroom.measured(10 * mbit)
    const home = createHome(headroom, 10 * mbit)
    home.run(10_000)
    home.ownBytesPerS = 5 * mbit
    home.run(30_000)
    expect(home.rate + home.ownBytesPerS).to.be.below(10.5 * mbit)
    home.ownBytesPerS = 0
    home.run(4_000)
    expect(home.rate, 'not at once').to.be.below(7 * mbit)
    home.run(40_000)
    expect(home.rate).to.equal(10 * mbit * uplinkShare)
  })

  it('answers one bad round trip with nothing, and two seconds of them with one cut', () => {
    const headroom = createHeadroom()
    headroom.measured(mbit)
    const top = mbit * uplinkShare
    let nowMs = 0
    const at = (roundTripMs: number): number => {
      nowMs += stepMs
      headroom.roundTrip(roundTripMs, nowMs)
      return headroom.step((top * stepMs) / 1_000, nowMs)
    }
    for (let index = 0; index < 20; index++) at(20)
    expect(at(500), 'one').to.equal(top)
    expect(at(20)).to.equal(top)
    let rate = top
    for (let passedMs = 0; passedMs < 2_500; passedMs += stepMs) rate = at(81)
    expect(rate / top).to.be.within(0.77, 0.82)
    expect(headroom.state().excessMs).to.be.closeTo(61, 1)
  })

  it('never goes below its floor, nor reacts while it is not the cause', () => {
    const headroom = createHeadroom()
    headroom.measured(10 * mbit)
    const home = createHome(headroom, 10 * mbit)
    home.run(10_000)
    home.ownBytesPerS = 12 * mbit
    home.run(300_000)
    expect(home.rate).to.be.within(0.05 * uplinkShare * 10 * mbit * 0.99, mbit)
    const idle = createHeadroom()
    idle.measured(10 * mbit)
    const quiet = createHome(idle, 10 * mbit)
    quiet.run(10_000, 0)
    quiet.ownBytesPerS = 12 * mbit
    quiet.run(60_000, mbit / 100)
    expect(quiet.rate).to.equal(10 * mbit * uplinkShare)
  })

  it('takes no longer path for a queue when the connection is another', () => {
    const headroom = createHeadroom()
    headroom.measured(10 * mbit)
    const home = createHome(headroom, 10 * mbit)
    home.run(10_000)
    home.pathMs = 150
    headroom.newPath()
    home.run(20_000)
    expect(headroom.state().baseMs).to.equal(150)
    expect(home.rate).to.equal(10 * mbit * uplinkShare)
  })

  it('forgets the old path in the end even while it sends', () => {
    const headroom = createHeadroom()
    headroom.measured(10 * mbit)
    const home = createHome(headroom, 10 * mbit)
    home.run(10_000)
    home.pathMs = 150
    home.run(60_000)
    expect(home.rate).to.be.below(5 * mbit)
    home.run(32 * 60_000)
    expect(home.rate).to.equal(10 * mbit * uplinkShare)
  })
})
