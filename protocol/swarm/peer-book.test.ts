import { expect } from 'chai'
import type { BundleId, PeerId } from '../ids.ts'
import { createPeerBook } from './peer-book.ts'

const peer = 'peer' as PeerId
const [one, two] = ['one', 'two'] as BundleId[] as [BundleId, BundleId]
const minuteMs = 60_000

describe('swarm/peer-book', () => {
  it('avoids for the bundle after one lie, for all after two, and longer each time', () => {
    const book = createPeerBook()
    book.note({ peer, bundle: one, kind: 'wrong-chunk' }, 0)
    expect(book.avoidUntilMs(peer, one)).to.be.above(5 * minuteMs)
    expect(book.avoidUntilMs(peer, two)).to.equal(0)
    expect(book.isDropped(peer, 1)).to.equal(false)
    book.note({ peer, bundle: one, kind: 'wrong-chunk' }, 0)
    expect(book.avoidUntilMs(peer, two)).to.be.above(5 * minuteMs)
    expect(book.isDropped(peer, 5 * minuteMs)).to.equal(true)
    const before = book.avoidUntilMs(peer, two)
    book.note({ peer, bundle: one, kind: 'wrong-descriptor' }, 0)
    expect(book.avoidUntilMs(peer, two)).to.equal(2 * before)
  })

  it('forgets in time, and what is half a lie takes more of them', () => {
    const book = createPeerBook()
    for (let at = 0; at < 2; at++) book.note({ peer, kind: 'flood' }, 0)
    expect(book.isDropped(peer, 1)).to.equal(false)
    book.note({ peer, kind: 'false-have' }, 0)
    expect(book.isDropped(peer, 1)).to.equal(true)
    expect(book.isDropped(peer, 11 * minuteMs)).to.equal(false)
    expect(book.scoreOf(peer, 60 * minuteMs)).to.be.below(0.1)
    book.note({ peer, kind: 'wrong-chunk' }, 60 * minuteMs)
    expect(book.isDropped(peer, 60 * minuteMs + 1)).to.equal(false)
  })

  it('is bounded, also for a peer that lies about many bundles', () => {
    const book = createPeerBook()
    for (let at = 0; at < 1_000; at++) {
      book.note({ peer, bundle: `${at}` as BundleId, kind: 'flood' }, at * 1e9)
    }
    expect(book.avoidUntilMs(peer, '1' as BundleId)).to.be.below(1e9 * 1_000 + 1e9)
    expect(book.avoidUntilMs('other' as PeerId, one)).to.equal(0)
  })
})
