import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { systemClock } from '../clock.ts'
import { silentLogger } from '../log/index.ts'
import { dialPeer, type Mesh } from '../mesh/index.ts'
import { addressOf, createMeshStreet, type MeshStreet } from '../mesh/mesh.fixture.ts'
import { banListCodec, banNewsOf } from '../orders/index.ts'
import { orderFixture } from '../orders/orders.fixture.ts'
import { createMemoryStore } from '../store/index.ts'
import type { Signed } from '../wire/index.ts'
import { type BanFeed, startBanFeed } from './ban-feed.ts'
import { openPeerLists, type PeerLists } from './lists.ts'

type End = Readonly<{ mesh: Mesh; lists: PeerLists; feed: BanFeed }>

describe('ban feed', () => {
  let street: MeshStreet
  let orders: Awaited<ReturnType<typeof orderFixture>>
  const ends: End[] = []
  const end = async (isUp: boolean): Promise<End> => {
    const mesh = await street.host()
    const lists = await openPeerLists({}, { store: createMemoryStore(), keeper: orders.keeper })
    const feed = await startBanFeed({
      ...{ mesh, lists, clock: systemClock, random: () => 1, logger: silentLogger },
      isUp: () => isUp,
    })
    const made = { mesh, lists, feed }
    ends.push(made)
    return made
  }
  const meet = (from: End, to: End) =>
    dialPeer(from.mesh, addressOf(to.mesh), { signal: AbortSignal.timeout(8_000) })
  const holds = async ({ lists }: End, number: number): Promise<void> => {
    while (lists.signedBans === undefined || lists.banNumber < number) await sleep(2)
  }
  beforeEach(async () => {
    street = createMeshStreet()
    orders = await orderFixture()
  })
  afterEach(async () => {
    await Promise.all(ends.splice(0).map(({ feed }) => feed.stop()))
    await street.stop()
  })

  it('asks whom it meets while the coordinator is away, from either end', async () => {
    const [knows, dials, isDialled] = [await end(true), await end(false), await end(false)]
    await knows.lists.take({ bans: orders.signBans(3, new Uint8Array(32), [orders.other]) })
    await meet(dials, knows)
    await meet(knows, isDialled)
    await Promise.all([holds(dials, 3), holds(isDialled, 3)])
    expect(dials.lists.isBanned(orders.other)).to.equal(true)
    expect(dials.lists.signedBans).to.deep.equal(knows.lists.signedBans)
  })

  it('asks nobody while the coordinator is there, and takes an older list from nobody', async () => {
    const [knows, up, newer] = [await end(true), await end(true), await end(false)]
    await knows.lists.take({ bans: orders.signBans(3, new Uint8Array(32), [orders.other]) })
    await newer.lists.take({ bans: orders.signBans(4, new Uint8Array(32)) })
    await meet(up, knows)
    await meet(newer, knows)
    // An answer after both meetings: what these would have led to has come by then.
    const last = await end(false)
    await meet(last, knows)
    await holds(last, 3)
    expect(up.lists.signedBans).to.equal(undefined)
    expect(newer.lists.banNumber).to.equal(4)
    expect(newer.lists.isBanned(orders.other)).to.equal(false)
  })

  it('takes the next list as news, and fetches the whole where one is missing in between', async () => {
    const [source, peer] = [await end(true), await end(true)]
    const hashOf = ({ payload }: Signed): Uint8Array =>
      new Uint8Array(createHash('sha256').update(payload).digest())
    const first = orders.signBans(1, new Uint8Array(32))
    const second = orders.signBans(2, hashOf(first), [orders.other])
    const [before, after] = [first, second].map(({ payload }) => banListCodec.decode(payload))
    const news = before && after && banNewsOf(before, after, second.signature)
    if (!news) throw new Error('no news')
    await source.lists.take({ bans: second })
    await meet(peer, source)
    const from = addressOf(source.mesh).peer
    await peer.lists.take({ bans: first })
    // Of another base than the list held, so it is no change of that: the whole is asked for.
    await peer.feed.take({ ...news, number: 3 }, from)
    expect(peer.lists.banNumber).to.equal(2)

    const third = orders.signBans(3, hashOf(second))
    const next = banNewsOf(after, banListCodec.decode(third.payload), third.signature)
    if (!next) throw new Error('no news')
    await source.feed.stop()
    await peer.feed.take(next, from)
    expect(peer.lists.signedBans).to.deep.equal(third)
  })
})
