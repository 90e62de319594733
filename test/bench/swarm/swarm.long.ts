import { expect } from 'chai'
import { swarm } from './index.ts'

const street = {
  ...{ homes: 8, mb: 32, 'seed-up': 20, up: [10], down: 50 },
  ...{ vs: '', congestion: '', cut: false, 'kill-cache': false },
}

describe('a street of homes in bad times', function () {
  this.timeout(600_000)

  it('completes when half of its homes are cut off for 20 s', async () => {
    const figures = await swarm.run({ ...street, cut: true }, () => undefined)
    expect(figures.registryBytes).to.equal(figures.bytes)
  })
  it('completes when its cache is killed halfway', async () => {
    const figures = await swarm.run({ ...street, 'kill-cache': true }, () => undefined)
    expect(figures.registryBytes).to.equal(figures.bytes)
  })
})
