import { expect } from 'chai'
import type { BundleId, PeerId } from '../ids.ts'
import { silentLogger } from '../log/index.ts'
import { createPeerBook } from './peer-book.ts'
import type { RequesterSession } from './requester.ts'
import { Senders } from './senders.ts'
import { transferClock } from './swarm.ts'

const bundle = 'bundle' as BundleId
const hint = (peer: string) => ({ peer: peer as PeerId, addresses: [] })

/** Senders of home `m` whose dials end when the test says so. */
function street() {
  const ended = new AbortController()
  const dials = new Map<string, PromiseWithResolvers<RequesterSession>>()
  const dialled: string[] = []
  let nowMs = 0
  let busyMs = 0
  let drawn = 7
  const senders = new Senders({
    ...{ bundle, self: 'm' as PeerId, book: createPeerBook(), logger: silentLogger },
    pool: {
      open({ peer }) {
        dialled.push(peer)
        const dial = Promise.withResolvers<RequesterSession>()
        dials.set(peer, dial)
        return dial.promise
      },
      isConnected: () => false,
      stop: async () => undefined,
    },
    clock: {
      ...transferClock,
      nowMs: () => nowMs,
      sleep: () => Promise.reject(new Error('not used')),
    },
    busyMs: () => busyMs,
    random: () => {
      drawn = (drawn * 16807) % 2147483647
      return drawn / 2147483647
    },
    ended: ended.signal,
    join(sender) {
      sender.phase = 'joined'
    },
    onRest: () => undefined,
  })
  return {
    senders,
    dialled,
    async open(peer: string) {
      dials.get(peer)?.resolve({ leave: () => undefined } as unknown as RequesterSession)
      await new Promise(setImmediate)
    },
    async fail(peer: string) {
      dials.get(peer)?.reject(new Error('nobody there'))
      await new Promise(setImmediate)
    },
    /** @param busyShare of that time this process has something to do */
    pass(ms: number, busyShare = 0) {
      nowMs += ms
      busyMs += ms * busyShare
      senders.dialMore()
    },
  }
}

describe('the senders of a download', () => {
  it('are dialled one at a time, the first of the hints first', async () => {
    const { senders, dialled, open, fail, pass } = street()
    senders.add(['cache', 'n', 'o', 'p'].map(hint))
    expect(dialled).to.deep.equal(['cache'])
    await open('cache')
    expect(dialled).to.deep.equal(['cache', 'n'])
    await fail('n')
    expect(dialled).to.deep.equal(['cache', 'n', 'o'])
    pass(900)
    expect(dialled).to.deep.equal(['cache', 'n', 'o'])
    pass(200)
    expect(dialled, 'o does not answer').to.deep.equal(['cache', 'n', 'o', 'n'])
  })
  it('are dialled the more slowly the more a dial keeps us busy, not the farther they are', async () => {
    const { senders, dialled, open, pass } = street()
    senders.add(['cache', 'n', 'o'].map(hint))
    pass(200, 0.5)
    await open('cache')
    pass(150)
    expect(dialled).to.deep.equal(['cache'])
    pass(100)
    expect(dialled).to.deep.equal(['cache', 'n'])
    pass(900)
    await open('n')
    expect(dialled).to.deep.equal(['cache', 'n', 'o'])
  })
  it('are left to dial us, when that is their turn, for a while', async () => {
    const { senders, dialled, open, pass } = street()
    senders.add(['n', 'a'].map(hint))
    await open('n')
    pass(1_000)
    expect(dialled).to.deep.equal(['n'])
    pass(1_500)
    expect(dialled).to.deep.equal(['n', 'a'])
  })
  it('are joined at once when they have come', () => {
    const { senders, dialled } = street()
    senders.add(['cache', 'n', 'a', 'b'].map(hint))
    senders.heardOf('a' as PeerId)
    senders.heardOf('z' as PeerId)
    expect(dialled).to.deep.equal(['cache', 'a', 'z'])
  })
  it('are drawn where there are many, and others take the places of those that fail', async () => {
    const { senders, dialled, open, fail, pass } = street()
    senders.add(Array.from({ length: 60 }, (_, at) => hint(`p${at}`)))
    for (let at = 0; at < 5; at++) await fail(dialled[at] ?? '')
    let at = 5
    const openAll = async (): Promise<void> => {
      for (let gaps = 0; gaps < 29; gaps++) {
        for (; at < dialled.length; at++) await open(dialled[at] ?? '')
        pass(1_000)
      }
    }
    await openAll()
    expect(dialled).to.have.length(5 + 32)
    const asked = () => [...senders.all()].filter(({ phase }) => phase === 'joined')
    const before = asked()
    expect(before).to.have.length(32)
    pass(31_000)
    await openAll()
    const after = asked()
    expect(after).to.have.length(32)
    const kept = before.filter((sender) => after.includes(sender)).length
    expect(kept, 'kept at a redraw').to.be.within(20, 31)
  })
})
