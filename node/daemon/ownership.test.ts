import { PassThrough } from 'node:stream'
import { expect } from 'chai'
import { FakeClock } from '../../protocol/clock.ts'
import { createLogger } from '../../protocol/log/index.ts'
import { createOwnership } from './ownership.ts'

describe('node/daemon: ownership', () => {
  const clock = new FakeClock()
  const code = 'CANARY-CODE'
  let log: string
  const create = (claim?: string) => {
    log = ''
    const destination = new PassThrough()
    destination.on('data', (data) => {
      log += data
    })
    const logger = createLogger({ name: 'test', level: 'trace', destination })
    return createOwnership(claim, { clock, logger })
  }
  const refusal = (name: string) => ({ refusal: { code: name, message: 'no' } })

  it('presents the code until it is told whose it is, and logs that but not the code', async () => {
    const ownership = create(code)
    const claim = { type: 'claim', code }
    expect(ownership.onUp({})).to.deep.equal(claim)
    expect(ownership.onUp({}), 'a new stream before the answer').to.deep.equal(claim)
    ownership.onAnswer({ type: 'claim-answer', chef: 'alice' })
    expect(ownership.chef).to.equal('alice')
    expect(ownership.onUp({ chef: 'alice' })).to.equal(undefined)
    await new Promise((resolve) => setImmediate(resolve))
    expect(log).to.contain('alice').and.not.contain('CANARY')
  })

  it('asks again, after a while, what could not be decided, and not what was', async () => {
    const ownership = create(code)
    ownership.onUp({})
    ownership.onAnswer({ type: 'claim-answer', ...refusal('CLAIM_RATE_LIMITED') })
    expect(ownership.again()).to.equal(undefined)
    await clock.advance(60_000)
    expect(ownership.again()).to.deep.equal({ type: 'claim', code })
    for (const name of ['CLAIM_CODE_INVALID', 'NODE_CLAIMED']) {
      const refused = create(code)
      refused.onUp({})
      refused.onAnswer({ type: 'claim-answer', ...refusal(name) })
      await clock.advance(60_000)
      expect([refused.again(), refused.onUp({})], name).to.deep.equal([undefined, undefined])
    }
  })

  it('says nothing without a code, and knows whose it is all the same', () => {
    const ownership = create()
    expect(ownership.onUp({ chef: 'bob' })).to.equal(undefined)
    expect(ownership.chef).to.equal('bob')
    ownership.onUp({})
    expect(ownership.chef).to.equal(undefined)
  })
})
