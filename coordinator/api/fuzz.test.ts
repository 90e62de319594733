/** Whatever the OpenAPI lets one say, or nearly, is answered by something it documents, and by no 5xx. */
import { expect } from 'chai'
import { fuzz } from './fuzz.run.fixture.ts'

describe('coordinator/api: fuzz from its OpenAPI', function () {
  this.timeout(120_000)

  it('finds no 5xx and no undocumented answer', async () => {
    await fuzz({ coordinators: 8, requests: 250 })
  })

  it('gets through to every operation, or it would prove nothing', async () => {
    const succeeded = new Set<string>()
    const seen = new Set<string>()
    // Chance may leave one out once, not eight times.
    for (let round = 0; round < 8 && (seen.size === 0 || succeeded.size < seen.size); round++) {
      for (const [id, statuses] of await fuzz({ coordinators: 4, requests: 250 })) {
        seen.add(id)
        if ([...statuses.keys()].some((status) => status < 300)) succeeded.add(id)
      }
    }
    expect([...seen].filter((id) => !succeeded.has(id))).to.deep.equal([])
    expect(seen.size).to.be.at.least(36)
  })
})
