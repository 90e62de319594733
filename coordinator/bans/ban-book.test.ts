import { createHash } from 'node:crypto'
import { setImmediate as turn } from 'node:timers/promises'
import { expect } from 'chai'
import { errorCode } from '../../protocol/errors.ts'
import { identityFromSeed } from '../../protocol/identity/index.ts'
import type { PeerId } from '../../protocol/ids.ts'
import { banListCodec, judgeBanList } from '../../protocol/orders/index.ts'
import { openPeerLists } from '../../protocol/peer/index.ts'
import { createMemoryStore, type Store } from '../../protocol/store/index.ts'
import { banBench } from './ban-book.fixture.ts'
import type { BanBook, BanChange, BanRequest } from './index.ts'

const peers = await Promise.all(
  Array.from({ length: 8 }, async (_, n) => {
    return (await identityFromSeed(new Uint8Array(32).fill(n + 1))).peer
  }),
)
const [a, b, c] = peers as [PeerId, PeerId, PeerId]
const byHand = (peer: PeerId, more: Partial<BanRequest> = {}): BanRequest => ({
  ...{ peer, source: 'operator', by: 'op', ...more },
})
const names = (book: BanBook): readonly PeerId[] =>
  banListCodec.decode(book.signed.payload).bans.map(({ peer }) => peer)
const codeOf = (work: Promise<unknown>): Promise<string | undefined> =>
  work.then(() => undefined, errorCode)

describe('ban book', () => {
  let bench: Awaited<ReturnType<typeof banBench>>
  beforeEach(async () => {
    bench = await banBench({ trusted: [c] })
  })
  afterEach(() => bench.close())

  it('makes the next list of each change, chained, which peers take one after the other', async () => {
    const book = await bench.open()
    const lists = await openPeerLists(
      {},
      { store: createMemoryStore(), keeper: bench.orders.keeper },
    )
    await lists.take({ bans: book.signed })
    const changes: BanChange[] = []
    book.onChange((change) => changes.push(change))
    await book.ban(byHand(a))
    await book.ban(byHand(b))
    await book.unban({ peer: a, by: 'op' })
    expect(changes.map((change) => change.peers)).to.deep.equal([[a], [b], []])
    for (const { news, signed } of changes) {
      if (!news) throw new Error('no news')
      expect(await lists.takeBanNews(news)).to.equal('taken')
      expect(lists.signedBans).to.deep.equal(signed)
    }
    expect(lists.banNumber).to.equal(3)
    expect([a, b].map(lists.isBanned)).to.deep.equal([false, true])
    const last = changes.at(-1)?.news
    if (!last) throw new Error('no news')
    expect(await lists.takeBanNews(last)).to.equal('known')
    expect(await lists.takeBanNews({ ...last, number: 9 })).to.equal('gap')
    // A forger who knows the chain still lacks the key.
    const previous = new Uint8Array(createHash('sha256').update(book.signed.payload).digest())
    const forged = { ...last, number: 4, previous, removed: [b], added: [] }
    expect(await codeOf(lists.takeBanNews(forged))).to.equal('BAD_SIGNATURE')
    expect(lists.isBanned(b)).to.equal(true)
  })

  it('makes one list of what comes together, and none of what changes no ban', async () => {
    const book = await bench.open()
    await Promise.all(peers.map((peer) => book.ban(byHand(peer))))
    expect(book.number).to.equal(1)
    expect(names(book)).to.deep.equal([...peers].sort())
    const more = { source: 'security-alert', text: 'again', by: 'sensor' } as const
    await book.ban({ peer: a, source: 'security-alert', by: 'sensor', evidence: [more] })
    await book.appeal(a, 'it was not me')
    expect(book.number).to.equal(1)
    expect(book.get(a)?.evidence.map(({ text }) => text)).to.deep.equal(['again'])
    expect(book.get(a)?.appeal?.note).to.equal('it was not me')
  })

  it('shows nothing that is not durable', async () => {
    let broken = false
    const fails = (): Promise<never> => Promise.reject(new Error('the disk is gone'))
    const store: Store = {
      ...bench.store,
      batch: (operations) => (broken ? fails() : bench.store.batch(operations)),
    }
    const book = await bench.openWith(store)
    let told = 0
    book.onChange(() => told++)
    broken = true
    const said = await book.ban(byHand(a)).catch((error: Error) => error.message)
    expect(said).to.equal('the disk is gone')
    expect([book.isBanned(a), book.number, told]).to.deep.equal([false, 0, 0])
    broken = false
    await book.ban(byHand(b))
    expect(names(book)).to.deep.equal([b])
  })

  it('keeps everything over a restart, and the same list', async () => {
    const first = await bench.open()
    const evidence = [{ source: 'operator', by: 'op', text: 'seen' } as const]
    const record = await first.ban(byHand(a, { note: 'mining', evidence }))
    await first.stop()
    const second = await bench.open()
    expect(second.signed).to.deep.equal(first.signed)
    expect(second.get(a)).to.deep.equal(record)
    expect(second.isBanned(a)).to.equal(true)
  })

  it('lets a ban expire by a new list', async () => {
    const book = await bench.open()
    await book.ban(byHand(a, { forMs: 10_000 }))
    await book.ban(byHand(b))
    const off = Promise.withResolvers<void>()
    book.onChange(() => off.resolve())
    await bench.clock.advance(9_000)
    expect(names(book)).to.include(a)
    await bench.clock.advance(2_000)
    await off.promise
    expect(names(book)).to.deep.equal([b])
    expect(book.get(a)?.lifted?.by).to.equal('expired')
    await turn()
    expect(bench.audited.map(({ act }) => act)).to.deep.equal(['ban', 'ban', 'unban'])
    expect((await book.ban(byHand(a))).times).to.equal(2)
  })

  it('bans nobody automatically whom the operator trusts or shields', async () => {
    const book = await bench.open()
    const automatic = (peer: PeerId): BanRequest => ({ peer, source: 'accusation', by: 'peers' })
    expect(await codeOf(book.ban(automatic(c)))).to.equal('BAN_REFUSED')
    await book.ban(automatic(a))
    await book.unban({ peer: a, by: 'op', note: 'a broken disk', shieldMs: 60_000 })
    expect(await codeOf(book.ban(automatic(a)))).to.equal('BAN_REFUSED')
    expect(book.isBanned(a)).to.equal(false)
    await bench.clock.advance(61_000)
    await book.ban(automatic(a))
    await book.ban(byHand(c))
    expect(names(book)).to.have.members([a, c])
  })

  it('lets an operator shorten what was found out automatically, and not the other way round', async () => {
    const book = await bench.open()
    await book.ban({ peer: a, source: 'accusation', by: 'peers', forMs: 60_000 })
    expect((await book.ban(byHand(a, { forMs: 5_000 }))).expiresMs).to.equal(6_000)
    await book.ban({ peer: a, source: 'failed-proof', by: 'coordinator', forMs: 90_000 })
    expect(book.get(a)).to.include({ expiresMs: 91_000, reason: 'operator' })
    expect(await codeOf(book.unban({ peer: b, by: 'op' }))).to.equal('BAN_NOT_FOUND')
  })

  it('signs the list anew, as the next one, in another term', async () => {
    const old = await bench.open()
    await old.ban(byHand(a))
    await old.stop()
    const { payload } = old.signed
    const held = { list: banListCodec.decode(payload), hash: hash(payload) }
    const { openBanBook } = await import('./index.ts')
    const next = await openBanBook({
      ...{ store: bench.store, signer: bench.orders.orders, clock: bench.clock },
      ...{ network: bench.orders.network.network, term: 2 as never, nowMs: () => 5 },
      ...{ isTrusted: () => false, audit: async () => undefined },
      logger: (await import('../../protocol/log/index.ts')).silentLogger,
    })
    const list = banListCodec.decode(next.signed.payload)
    expect([list.term, list.number]).to.deep.equal([2, 2])
    expect(judgeBanList(list, held)).to.equal(true)
    await next.stop()
  })
})

function hash(payload: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update(payload).digest())
}
