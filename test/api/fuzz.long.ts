/** The same as coordinator/api/fuzz.test.ts, for long enough to find what is rare. */
import { expect } from 'chai'
import { fuzz } from '../../coordinator/api/fuzz.run.fixture.ts'

describe('api: long fuzz from its OpenAPI', function () {
  this.timeout(1_800_000)

  it('finds no 5xx and no undocumented answer', async () => {
    const seen = await fuzz({ coordinators: 200, requests: 400 })
    expect(seen.size).to.be.at.least(36)
  })
})
