/** Whatever the OpenAPI lets one say, or nearly, is answered by something it documents, and by no 5xx. */
import { expect } from 'chai'
import { fuzz } from './fuzz.run.fixture.ts'

describe('coordinator/api: fuzz from its OpenAPI', function () {
  this.timeout(120_000)

  it('finds no 5xx and no undocumented answer', async () => {
    await fuzz({ coordinators: 12, requests: 250 })
  })

  it('gets through to every operation, or it would prove nothing', async () => {
    const seen = await fuzz({ coordinators: 16, requests: 250, seed: 5 })
    const failing = [...seen].filter(([, statuses]) =>
      [...statuses.keys()].every((it) => it >= 300),
    )
    expect(failing.map(([id, statuses]) => [id, ...statuses.keys()])).to.deep.equal([])
    expect(seen.size).to.be.at.least(36)
  })
})
