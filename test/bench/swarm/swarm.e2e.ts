import { expect } from 'chai'
import { swarm } from './index.ts'

const street = {
  ...{ homes: 3, mb: 4, 'seed-up': 20, up: [4, 10], down: 50 },
  ...{ vs: '', congestion: '', cut: false, 'kill-cache': false },
}

describe('one image to a street of homes', function () {
  this.timeout(180_000)

  it('is read once, moves no chunk twice, and takes no less than the links allow', async () => {
    const figures = await swarm.run({ ...street, vs: 'aria2' }, () => undefined)
    const { bytes, registryBytes, duplicateBytes, ratioToBound, aria2LastS, boundS } = figures
    expect(registryBytes).to.equal(bytes)
    expect(duplicateBytes).to.be.at.most(Number(bytes) / 10)
    // A street that is quicker than its links measures nothing.
    expect(ratioToBound).to.be.above(1)
    expect(aria2LastS).to.be.above(Number(boundS))
  })
  it('survives the kill -9 of its cache halfway, and is still read once', async () => {
    const figures = await swarm.run({ ...street, 'kill-cache': true }, () => undefined)
    expect(figures.registryBytes).to.equal(figures.bytes)
  })
})
