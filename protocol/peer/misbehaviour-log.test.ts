import { expect } from 'chai'
import type { PeerId } from '../ids.ts'
import { createMisbehaviourLog } from './misbehaviour-log.ts'

describe('peer/misbehaviour-log', () => {
  const liar = 'liar' as PeerId
  const flood = (detail: string) => ({ peer: liar, kind: 'flood' as const, detail })

  it('tells again what no beat was answered for, and once what one was', () => {
    const log = createMisbehaviourLog()
    log.note(flood('first'))
    expect(log.take()).to.deep.equal([flood('first')])
    expect(log.take(), 'the line was cut').to.deep.equal([flood('first')])
    log.note(flood('later'))
    log.answered()
    expect(log.take()).to.deep.equal([flood('later')])
    log.answered()
    log.answered()
    expect(log.take()).to.deep.equal([])
  })

  it('has room for as much as a beat', () => {
    const log = createMisbehaviourLog()
    for (let number = 0; number < 100; number++) log.note(flood('x'.repeat(1_000)))
    const taken = log.take()
    expect(taken).to.have.length(64)
    expect(taken[0]?.detail).to.have.length(512)
    log.answered()
    log.note(flood('then'))
    expect(log.take()).to.deep.equal([flood('then')])
  })
})
