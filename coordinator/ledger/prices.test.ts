/** The price list: what it asks, what it refuses, and that roundings never add up. */
import { expect } from 'chai'
import fc from 'fast-check'
import { gpuClasses } from '../groups/gpu-classes.ts'
import { defaultPrices, termsOf } from './ledger.fixture.ts'
import { createPrices, priceProblems } from './prices.ts'
import { chargedFor, earnedFor, microsPerHourMax } from './terms.ts'

const gpuClass = gpuClasses.find(({ product }) => product === 'RTX 4090')!

describe('coordinator/ledger: prices', () => {
  const instance = { milliCpus: 2_500, memoryBytes: 4 * 2 ** 30, gpuClasses: [gpuClass] }

  it('adds CPU, memory and GPU, and takes off for a lower priority', () => {
    const prices = createPrices(defaultPrices)
    const list = 2.5 * 4_000 + 4 * 1_000 + 24 * 10_000
    expect(prices.microsPerHour({ ...instance, priority: undefined })).to.equal(list)
    expect(prices.microsPerHour({ ...instance, priority: 'batch' })).to.equal(list / 2)
  })

  it('takes an own price of a class, and names one that does not exist', () => {
    const settings = { ...defaultPrices, gpuClasses: [`${gpuClass.id}=123456`] }
    expect(createPrices(settings).gpuMicrosPerHour(gpuClass, 'high')).to.equal(123_456)
    expect(priceProblems(settings)).to.deep.equal([])
    const unknown = gpuClass.id.replace(/^./, 'f')
    const [problem] = priceProblems({ ...defaultPrices, gpuClasses: [`${unknown}=1`] })
    expect(problem?.key).to.equal('prices.gpuClasses')
    expect(problem?.message).to.contain(unknown)
  })

  it('charges the same in whole, however the time is cut into pieces', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: microsPerHourMax }),
        fc.integer({ min: 0, max: 100 }),
        fc.array(fc.integer({ min: 1, max: 10_000_000 }), { maxLength: 20 }),
        (microsPerHour, chefPercent, pieces) => {
          const terms = termsOf({ microsPerHour, chefPercent })
          let [from, charged, earned] = [0, 0n, 0n]
          for (const seconds of pieces) {
            charged += chargedFor(terms, from + seconds) - chargedFor(terms, from)
            earned += earnedFor(terms, from + seconds) - earnedFor(terms, from)
            from += seconds
          }
          expect(charged).to.equal((BigInt(microsPerHour) * BigInt(from)) / 3_600n)
          expect(earned <= charged).to.equal(true)
          expect(earned).to.equal((charged * BigInt(chefPercent)) / 100n)
        },
      ),
    )
  })
})
