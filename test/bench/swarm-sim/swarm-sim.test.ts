import { expect } from 'chai'
import { plainStreet, saladStreet } from './scenarios.ts'
import { type Simulated, simulate } from './simulate.ts'
import type { Policy } from './world.ts'

const streets = {
  equal: { homes: 8, mb: 64, seedUp: 20, up: [10], down: 50 },
  thin: { homes: 16, mb: 32, seedUp: 10, up: [5], down: 40 },
  mixed: { homes: 12, mb: 64, seedUp: 20, up: [2, 10, 40], down: 50 },
  many: { homes: 100, mb: 32, seedUp: 20, up: [10], down: 50 },
}

/** Without the tax of the wire: what the schedule itself costs. */
function run(street: keyof typeof streets, policy: Partial<Policy> = {}): Simulated {
  return simulate({ ...plainStreet(streets[street]), seed: 1, tax: 1, policy })
}

/** A broken policy shows here first, in seconds: each bound is what was measured and a little. */
describe('bench/swarm-sim', () => {
  it('ends streets of equal homes close to the bound', () => {
    const [equal, thin] = [run('equal'), run('thin')]
    expect(equal.lastS / equal.boundS).to.be.within(1, 1.03)
    expect(thin.lastS / thin.boundS).to.be.within(1, 1.04)
    expect(thin.firstS, 'the first need not wait for the last').to.be.below(0.8 * thin.lastS)
  })

  it('ends a street of very different homes close to the bound, by the plan of the seed', () => {
    const mixed = run('mixed')
    expect(mixed.lastS / mixed.boundS).to.be.within(1, 1.06)
    const unplanned = run('mixed', { superSeed: false })
    expect(unplanned.lastS).to.be.above(1.05 * mixed.lastS)
  })

  it('moves hardly a chunk twice', () => {
    const mixed = run('mixed')
    expect(mixed.duplicateBytes).to.be.at.most(0.01 * mixed.bytes * mixed.homes)
  })

  it('is no worse where a home knows a third of the swarm', () => {
    const many = run('many')
    expect(many.lastS / many.boundS).to.be.within(1, 1.07)
  }).timeout(60_000)

  it('has the first run early where downlinks differ, at no cost to the last', () => {
    const street = saladStreet({ churn: false, share: 0.05 })
    const { firstS, medianS, lastS, boundS } = simulate({
      ...street,
      ...{ seed: 1, tax: 1, chunkBytes: 1 << 18 },
    })
    expect(firstS / boundS).to.be.below(0.3)
    expect(medianS / boundS).to.be.below(0.8)
    expect(lastS / boundS).to.be.within(1, 1.08)
  }).timeout(60_000)

  it('gives the same run for the same seed', () => {
    expect(run('thin').lastS).to.equal(run('thin').lastS)
  })
})
