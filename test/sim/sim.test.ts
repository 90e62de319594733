/** Short histories of small networks: no promise is broken, and a seed is one history. */
import { expect } from 'chai'
import { runSeed } from './run.ts'

describe('simulation', function () {
  this.timeout(120_000)

  it('keeps every promise through an hour of faults', async () => {
    const { violations, replacements } = await runSeed({ seed: 1, nodes: 40, hours: 1 })
    expect(violations).to.deep.equal([])
    expect(replacements, 'something happened').to.be.above(0)
  })

  it('repeats a seed to the letter', async () => {
    const once = await runSeed({ seed: 2, nodes: 12, hours: 0.2 })
    const again = await runSeed({ seed: 2, nodes: 12, hours: 0.2 })
    expect(again.traceHash).to.equal(once.traceHash)
    const other = await runSeed({ seed: 3, nodes: 12, hours: 0.2 })
    expect(other.traceHash).not.to.equal(once.traceHash)
  })
})
