import { setImmediate } from 'node:timers/promises'
import { expect } from 'chai'
import { leaveOn } from './leave-on.ts'

describe('swarm: a caller that leaves', () => {
  it('is heard also when one of the results that it waits for is there', async () => {
    const caller = new AbortController()
    let left = 0
    const mine = leaveOn(caller.signal, () => {
      left += 1
    })
    const [early, late] = [Promise.withResolvers<string>(), Promise.withResolvers<string>()]
    const results = [mine(early.promise), mine(late.promise)]
    early.resolve('early')
    expect(await results[0]).to.equal('early')
    await setImmediate()
    const reason = new Error('no longer wanted')
    caller.abort(reason)
    expect(await results[1]?.catch((error: unknown) => error)).to.equal(reason)
    expect(left).to.equal(1)
  })

  it('is nobody’s matter once it has all', async () => {
    const caller = new AbortController()
    let left = 0
    const mine = leaveOn(caller.signal, () => {
      left += 1
    })
    await Promise.all([mine(Promise.resolve(1)), mine(Promise.resolve(2))])
    caller.abort(new Error('too late'))
    expect(left).to.equal(0)
  })
})
