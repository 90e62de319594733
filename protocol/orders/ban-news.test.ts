import { createHash } from 'node:crypto'
import { expect } from 'chai'
import fc from 'fast-check'
import type { NetworkId, PeerId, Term } from '../ids.ts'
import { banListAfter, banNewsCodec, banNewsOf, sortedBans } from './ban-news.ts'
import { type Ban, type BanList, banListCodec, bansMax } from './schemas.ts'

const network = '0'.repeat(32) as NetworkId
const alphabet = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'
/** As long as a real one. */
function peerOf(n: number): PeerId {
  const bytes = createHash('sha512').update(String(n)).digest()
  return `12D3KooW${[...bytes.subarray(0, 44)].map((byte) => alphabet[byte % 58]).join('')}` as PeerId
}
function listOf(number: number, bans: Iterable<Ban>): BanList {
  const facts = { v: 1, network, term: 1 as Term, number, issuedMs: 1_700_000_000_000 } as const
  return { ...facts, previous: new Uint8Array(32).fill(number), bans: sortedBans(bans) }
}

describe('ban news', () => {
  const anyBans = fc.uniqueArray(
    fc.record({
      peer: fc.nat(40).map(peerOf),
      reason: fc.constantFrom('operator', 'bad-chunks'),
      sinceMs: fc.nat(3),
    }),
    { selector: ({ peer }) => peer },
  )

  it('makes of the list before the very bytes that were signed', () => {
    fc.assert(
      fc.property(anyBans, anyBans, (before, after) => {
        const [old, next] = [listOf(1, before), listOf(2, after)]
        const news = banNewsOf(old, next, new Uint8Array(64))
        if (!news) throw new Error('too much changed')
        const told = banNewsCodec.decode(banNewsCodec.encode(news))
        const held = banListCodec.decode(banListCodec.encode(old))
        expect(banListCodec.encode(banListAfter(held, told))).to.deep.equal(
          banListCodec.encode(next),
        )
      }),
    )
  })

  it('is not made where the whole list is shorter to send', () => {
    const bans = Array.from({ length: 257 }, (_, n) => ({
      ...{ peer: peerOf(n), reason: 'operator', sinceMs: 1 },
    }))
    expect(banNewsOf(listOf(1, []), listOf(2, bans), new Uint8Array(64))).to.equal(undefined)
    const most = banNewsOf(listOf(1, []), listOf(2, bans.slice(1)), new Uint8Array(64))
    expect(most && banNewsCodec.encode(most).length).to.be.lessThan(65_536)
  })

  it('has room for a list of as many bans as may be, with the longest reasons', () => {
    const bans = Array.from({ length: bansMax }, (_, n) => ({
      ...{ peer: peerOf(n), reason: 'abcdefghijklmnop', sinceMs: 1_900_000_000_000 },
    }))
    const bytes = banListCodec.encode(listOf(1, bans))
    expect(banListCodec.decode(bytes).bans).to.have.length(bansMax)
  })
})
