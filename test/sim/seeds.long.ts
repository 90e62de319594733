/** Twenty histories of an hour each: no promise is broken in any. */
import { expect } from 'chai'
import { runSeed } from './run.ts'

const seeds = 20

describe('simulation, many seeds', function () {
  this.timeout(3_600_000)

  for (let seed = 1; seed <= seeds; seed++) {
    it(`keeps every promise through an hour of faults, seed ${seed}`, async () => {
      const { violations } = await runSeed({ seed, nodes: 100, hours: 1 })
      expect(
        violations,
        `npm run -s bench -- sim --nodes 100 --hours 1 --first ${seed} --trace`,
      ).to.deep.equal([])
    })
  }
})
