import { expect } from 'chai'
import { type CheckName, checkNames, createRecord } from './record.ts'

const names = Object.keys(checkNames) as CheckName[]

describe('scripts/demo record', () => {
  it('passes when every check was made and held', () => {
    const record = createRecord()
    for (const name of names) record.check(name, true, '')
    expect(record.passed()).to.equal(true)
  })

  it('does not pass while a check was not made, whichever it is', () => {
    for (const left of names) {
      const record = createRecord()
      for (const name of names) if (name !== left) record.check(name, true, '')
      expect(record.passed(), left).to.equal(false)
    }
  })

  it('remembers that a check did not hold once', () => {
    const record = createRecord()
    record.check('output', false, 'node1')
    for (const name of names) record.check(name, true, '')
    expect(record.passed()).to.equal(false)
  })
})
