import { expect } from 'chai'
import { createBaseDelay } from './base-delay.ts'

describe('base-delay', () => {
  it('is the least of the last minutes, and of no earlier one', () => {
    const base = createBaseDelay(3)
    expect(base.ms(0)).to.equal(undefined)
    base.add(40, 10_000)
    base.add(90, 59_000)
    base.add(70, 61_000)
    expect(base.ms(179_999)).to.equal(40)
    expect(base.ms(180_000)).to.equal(70)
    expect(base.ms(240_000)).to.equal(undefined)
  })
  it('follows at once what becomes less', () => {
    const base = createBaseDelay(3)
    base.add(40, 0)
    base.add(5, 100)
    expect(base.ms(100)).to.equal(5)
  })
})
