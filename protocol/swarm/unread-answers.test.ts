import { expect } from 'chai'
import { FakeClock } from '../clock.ts'
import { UnreadAnswers } from './unread-answers.ts'

describe('swarm/unread-answers', () => {
  function sendMany(count: number) {
    const unread = new UnreadAnswers(clock)
    const taken: (() => void)[] = []
    for (let answer = 0; answer < count; answer++) {
      void unread.send(() => new Promise<void>((resolve) => taken.push(resolve)))
    }
    return { unread, taken }
  }
  let clock: FakeClock
  beforeEach(() => {
    clock = new FakeClock()
  })
  const ever = new AbortController().signal

  it('waits for half of them to be taken, and no longer', async () => {
    const { unread, taken } = sendMany(32)
    expect(unread.crowded).to.equal(true)
    const waiting = unread.taken(ever)
    taken[0]?.()
    await waiting
    expect(unread.crowded).to.equal(false)
  })

  it('gives up on who does not read', async () => {
    const { unread } = sendMany(32)
    const waiting = unread.taken(ever).catch((error: Error) => error)
    await clock.advance(2_000)
    expect(await waiting).to.have.property('name', 'TooManyRequestsError')
  })

  it('has room for a bounded number', () => {
    expect(() => sendMany(63).unread.expectRoom()).to.not.throw()
    expect(() => sendMany(64).unread.expectRoom()).to.throw(/unread answers/)
  })

  it('ends with its stream', async () => {
    const ended = new AbortController()
    const waiting = sendMany(40)
      .unread.taken(ended.signal)
      .catch((error: Error) => error)
    ended.abort(new Error('gone'))
    expect(await waiting).to.have.property('message', 'gone')
  })
})
