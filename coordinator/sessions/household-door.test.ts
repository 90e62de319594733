import { expect } from 'chai'
import { errorCode } from '../../protocol/errors.ts'
import type { PeerId } from '../../protocol/ids.ts'
import { createHouseholdDoor, type Visitor } from './household-door.ts'

const visitor = (name: string, toldAllocations = 4): Visitor & { toldAllocations: number } => ({
  ...{ node: name as PeerId, toldAllocations, allocationsShare: Number.POSITIVE_INFINITY },
})

describe('household door', () => {
  it('lets in so many of a household, the same one again, and others when one has left', () => {
    const door = createHouseholdDoor({ nodesMax: 2, allocationsMax: 100 })
    const [a, b, c] = ['a', 'b', 'c'].map((name) => visitor(name)) as [Visitor, Visitor, Visitor]
    for (const one of [a, b, a]) door.enter('192.0.2.1', one)
    const refusal = (): unknown => {
      try {
        return door.enter('192.0.2.1', c)
      } catch (error) {
        return errorCode(error)
      }
    }
    expect(refusal()).to.equal('HOUSEHOLD_FULL')
    door.enter('192.0.2.2', c)
    door.leave(c.node)
    door.leave(a.node)
    expect(refusal()).to.equal(undefined)
  })

  it('gives a household’s work to the eldest first, and again when it leaves or lends less', () => {
    const door = createHouseholdDoor({ nodesMax: 9, allocationsMax: 6 })
    const [a, b] = [visitor('a'), visitor('b')]
    door.enter('192.0.2.1', a)
    door.enter('192.0.2.1', b)
    expect([a.allocationsShare, b.allocationsShare]).to.deep.equal([4, 2])
    const less = { ...a, toldAllocations: 1 }
    door.enter('192.0.2.1', less)
    expect(b.allocationsShare).to.equal(4)
    door.leave(a.node)
    expect(b.allocationsShare).to.equal(4)
  })

  it('lets all in that come by a relay, whose address is not theirs, and shares its work', () => {
    const door = createHouseholdDoor({ nodesMax: 1, allocationsMax: 5 })
    const [a, b] = [visitor('a'), visitor('b')]
    for (const one of [a, b]) door.enter('unknown /ip4/192.0.2.1/p2p-circuit', one)
    expect([a.allocationsShare, b.allocationsShare]).to.deep.equal([4, 1])
  })
})
