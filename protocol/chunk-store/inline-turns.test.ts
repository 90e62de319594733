import { expect } from 'chai'
import { createInlineTurns } from './inline-turns.ts'

const chunk = 64 * 1024

describe('chunk-store/inline-turns', () => {
  it('lets a home do its few chunks inline', () => {
    const turns = createInlineTurns()
    for (let nowMs = 0; nowMs < 10_000; nowMs += 10) {
      expect(turns.mayDo(chunk, nowMs)).to.equal(true)
      turns.did(chunk, 0.2, nowMs)
    }
  })

  it('leaves what comes fast to the thread, until it comes slowly again', () => {
    const turns = createInlineTurns()
    let inline = 0
    for (let nowMs = 0; nowMs < 1_000; nowMs += 0.5) {
      if (!turns.mayDo(chunk, nowMs)) continue
      inline += 1
      turns.did(chunk, 0.2, nowMs)
    }
    expect(inline * chunk).to.be.within(15 << 20, 17 << 20)
    expect(turns.mayDo(chunk, 2_000)).to.equal(true)
  })

  it('leaves long runs to the thread', () => {
    expect(createInlineTurns().mayDo(512 * 1024, 0)).to.equal(false)
  })

  it('lets the thread wait for a disk that makes us wait', () => {
    const turns = createInlineTurns()
    turns.did(chunk, 120, 1_000)
    expect(turns.mayDo(chunk, 30_999)).to.equal(false)
    expect(turns.mayDo(chunk, 31_000)).to.equal(true)
  })
})
