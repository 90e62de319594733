import { expect } from 'chai'
import { Unacknowledged } from './unacknowledged.ts'

describe('swarm/unacknowledged', () => {
  it('knows when the newest chunk that has come was sent', () => {
    const stream = new Unacknowledged()
    expect(stream.came(0)).to.equal(undefined)
    stream.sent(2, 10)
    stream.sent(1, 20)
    expect(stream.came(1)).to.equal(10)
    expect(stream.came(1)).to.equal(undefined)
    expect(stream.came(3)).to.equal(20)
    expect(() => stream.came(4)).to.throw(/4 of 3 chunks came/)
  })

  it('keeps no more than some thousand times of a stream', () => {
    const stream = new Unacknowledged()
    for (let at = 0; at < 10_000; at++) stream.sent(1, at)
    expect(stream.came(1)).to.equal(undefined)
    expect(stream.came(9_000)).to.equal(8_999)
    expect(() => stream.came(10_001)).to.throw(/of 10000/)
  })
})
