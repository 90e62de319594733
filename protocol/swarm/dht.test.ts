import { expect } from 'chai'
import { FakeClock } from '../clock.ts'
import type { BundleId } from '../ids.ts'
import { dialPeer, type Mesh, type PeerAddress } from '../mesh/index.ts'
import { createHolderIndex, type HolderIndex, holderKey } from './dht.ts'
import { soon } from './hostile.fixture.ts'
import {
  createSwarmStreet,
  expectWhole,
  getBundle,
  type Home,
  randomBundle,
  type SwarmStreet,
  toyTicket,
  until,
} from './swarm.fixture.ts'

const secret = new Uint8Array(32).fill(3)

describe('swarm/dht', function () {
  this.timeout(30_000)
  let street: SwarmStreet
  beforeEach(() => {
    street = createSwarmStreet()
  })
  afterEach(() => street.stop())

  it('keys a bundle with the secret: another secret, or none, gives another key', () => {
    const bundle = 'a'.repeat(64) as BundleId
    const key = holderKey(secret, bundle)
    expect(key.equals(holderKey(secret, bundle))).to.equal(true)
    expect(key.equals(holderKey(new Uint8Array(32), bundle))).to.equal(false)
    expect(key.equals(holderKey(secret, 'b'.repeat(64) as BundleId))).to.equal(false)
    expect(Buffer.from(key.multihash.digest).toString('hex')).to.not.equal(bundle)
  })

  /** A coordinator as DHT server, with these homes connected and in its table. */
  const connect = async (...homes: Home[]): Promise<Home> => {
    const coordinator = await street.home({ mesh: { role: 'coordinator' } })
    for (const { mesh } of homes) {
      await dialPeer(mesh, coordinator.address, soon())
    }
    await until(() => homes.every(({ mesh }) => tableOf(mesh).size > 0))
    return coordinator
  }
  const collect = async (found: AsyncIterable<PeerAddress>): Promise<PeerAddress[]> => {
    const all: PeerAddress[] = []
    for await (const hint of found) all.push(hint)
    return all
  }

  it('finds holders once the secret is known, and none before', async () => {
    const bundle = randomBundle(1000)
    const [holder, seeker] = await Promise.all([street.home(), street.home()])
    await connect(holder, seeker)
    let known: Uint8Array | undefined
    const mine = createHolderIndex({ mesh: seeker.mesh, secret: () => known })
    const theirs = createHolderIndex({ mesh: holder.mesh, secret: () => secret })
    await theirs.provide(bundle.id, soon())
    expect(await collect(mine.find(bundle.id, soon()))).to.deep.equal([])
    known = new Uint8Array(32)
    expect(await collect(mine.find(bundle.id, soon()))).to.deep.equal([])
    known = secret
    const found = await collect(mine.find(bundle.id, soon()))
    expect(found.map(({ peer }) => peer)).to.include(holder.address.peer)
  })

  /** Says what it is asked, and knows nobody. */
  const listening = (said: string[]): HolderIndex => ({
    provide: async (id) => void said.push(`provide ${id}`),
    withdraw: async (id) => void said.push(`withdraw ${id}`),
    find(id) {
      said.push(`find ${id}`)
      return nobody()
    },
  })

  it('promises a bundle once, not by the chunk, and asks nobody while hints suffice', async () => {
    const bundle = randomBundle(1_000_000)
    const said: string[] = []
    const own = { holders: listening(said), clock: new FakeClock(1) }
    const [seed, home] = await Promise.all([street.home(), street.home({ with: own })])
    await seed.fill(bundle)
    await expectWhole(await getBundle(home, bundle, [seed]).done, bundle)
    expect(bundle.chunks).to.have.length.above(10)
    expect(said).to.deep.equal([`provide ${bundle.id}`])
  })

  it('asks after a second for those that hints do not name', async () => {
    const said: string[] = []
    const clock = new FakeClock(1)
    const home = await street.home({ with: { holders: listening(said), clock } })
    const bundle = randomBundle(1_000)
    const stop = new AbortController()
    const { done } = getBundle(home, bundle, [], { signal: stop.signal })
    done.catch(() => undefined)
    await clock.advance(900)
    expect(said).to.deep.equal([])
    await clock.advance(200)
    expect(said).to.deep.equal([`find ${bundle.id}`])
    stop.abort(new Error('enough'))
  })

  it('promises a bundle no longer once it is removed', async () => {
    const bundle = randomBundle(1000)
    const said: string[] = []
    const home = await street.home({ with: { holders: listening(said) } })
    await home.fill(bundle)
    home.swarm.announce(bundle.id)
    await home.store.remove(bundle.id)
    expect(said).to.deep.equal([`provide ${bundle.id}`, `withdraw ${bundle.id}`])
  })

  it('lets a home without hints find the seed', async () => {
    const bundle = randomBundle(300_000)
    const dhtSecret = () => secret
    const [seed, home] = await Promise.all([street.home({ dhtSecret }), street.home({ dhtSecret })])
    await seed.fill(bundle)
    await connect(seed, home)
    seed.swarm.announce(bundle.id)
    const download = home.swarm.download({
      bundle: bundle.id,
      ticket: () => toyTicket(home.address.peer, bundle.id),
      signal: AbortSignal.timeout(15_000),
    })
    expect((await download.done).complete).to.equal(true)
    expect([...download.progress().fromPeer.keys()]).to.deep.equal([seed.address.peer])
  })
})

async function* nobody(): AsyncGenerator<PeerAddress, void> {}

/** Not in the DHT's public interface. */
function tableOf(mesh: Mesh): { readonly size: number } {
  return (mesh.services.dht as unknown as { routingTable: { size: number } }).routingTable
}
