import { expect } from 'chai'
import fc from 'fast-check'
import { type Candidate, chooseNeighbours, neighboursMax, neighboursMaxFor } from './neighbours.ts'

function candidates(count: number, joined = 0): Candidate[] {
  return Array.from({ length: count }, (_, at) => ({
    peer: `home-${at}`,
    joined: at < joined,
    rttMs: 100 - at / 10,
    deliveredBytes: at % 50,
  }))
}

describe('swarm/schedule/neighbours', () => {
  it('takes all of a small swarm, and never more than its number of a big one', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 200 }),
        fc.nat({ max: 60 }),
        fc.infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true })),
        (count, joined, draws) => {
          const random = () => draws.next().value
          const chosen = chooseNeighbours({ known: candidates(count, joined), random })
          expect(chosen).to.have.length(Math.min(count, neighboursMax))
          expect(new Set(chosen).size).to.equal(chosen.length)
        },
      ),
    )
  })

  it('keeps the nearest and the best deliverers, and draws the rest', () => {
    const known = candidates(100)
    const sets = Array.from({ length: 40 }, () => chooseNeighbours({ known, random: Math.random }))
    const always = known
      .map(({ peer }) => peer)
      .filter((peer) => sets.every((set) => set.includes(peer)))
    // The nearest four are the last; the best deliverers are 49 and 99, 48 and 98.
    expect(always).to.include.members(['home-99', 'home-98', 'home-97', 'home-96', 'home-49'])
    expect(new Set(sets.flat()).size, 'anybody can be drawn').to.be.above(95)
  })

  it('cuts off a quarter of the drawn at most', () => {
    const known = candidates(100, 32).map((one) => ({ ...one, deliveredBytes: 0, rttMs: 50 }))
    const chosen = chooseNeighbours({ known, random: Math.random })
    const kept = chosen.filter((peer) => known.some((one) => one.joined && one.peer === peer))
    expect(kept.length).to.be.at.least(21)
    expect(kept.length).to.be.below(32)
  })

  it('lets a fast cache have more', () => {
    expect(neighboursMaxFor(undefined)).to.equal(32)
    expect(neighboursMaxFor(2_500_000)).to.equal(32)
    expect(neighboursMaxFor(125_000_000)).to.equal(256)
  })
})
