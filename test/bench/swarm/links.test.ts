import { expect } from 'chai'
import { lowerBoundS, streetLinks } from './links.ts'

const street = (homes: number, seedUpMbits: number, upMbits: readonly number[], downMbits = 50) =>
  streetLinks({ homes, seedUpMbits, upMbits, downMbits })

describe('the least time that links allow', () => {
  it('is that of all uplinks together, of the seed, or of the slowest downlink', () => {
    expect(lowerBoundS(64e6, street(8, 20, [10]))).to.be.closeTo(40.96, 1e-9)
    expect(lowerBoundS(64e6, street(2, 20, [100]))).to.be.closeTo(25.6, 1e-9)
    expect(lowerBoundS(64e6, street(2, 200, [100], 5))).to.be.closeTo(102.4, 1e-9)
  })
  it('has uplinks that cycle over the homes', () => {
    const { homes } = street(5, 20, [2, 10, 40])
    expect(homes.map(({ upBitsPerS }) => upBitsPerS / 1e6)).to.deep.equal([2, 10, 40, 2, 10])
  })
})
