import { once } from 'node:events'
import { expect } from 'chai'
import { systemClock } from '../clock.ts'
import { silentLogger } from '../log/index.ts'
import { dialPeer, isRelayed, type Mesh, type PeerAddress, peerIdOf } from '../mesh/index.ts'
import { addressOf, createMeshStreet, type MeshStreet } from '../mesh/mesh.fixture.ts'
import { until } from '../swarm/swarm.fixture.ts'
import { countRelayedBytes } from './relayed-bytes.ts'
import { createRelayPlaces, type RelayPlaces } from './relays.ts'

const options = () => ({ signal: AbortSignal.timeout(10_000) })
const protocol = '/test/bulk/1'

describe('protocol/nat relays', function () {
  this.timeout(30_000)
  let street: MeshStreet
  let places: RelayPlaces | undefined
  beforeEach(() => {
    street = createMeshStreet()
  })
  afterEach(async () => {
    places?.stop()
    await street.stop()
  })
  const circuitsOf = (mesh: Mesh): PeerAddress => {
    const { peer, addresses } = addressOf(mesh)
    return { peer, addresses: addresses.filter(isRelayed) }
  }
  const reserve = (home: Mesh, relays: readonly Mesh[]): RelayPlaces =>
    createRelayPlaces({
      mesh: home,
      relays: () => relays.map(addressOf),
      clock: systemClock,
      logger: silentLogger,
    })
  /** No event tells of it where a place was lost and made again at once. */
  const placed = async (home: Mesh): Promise<void> =>
    await until(() => circuitsOf(home).addresses.length > 0)

  it('holds a place while it wants one, at which others reach it for control alone', async () => {
    const relay = await street.host({ relaysFor: () => true })
    const [home, other] = [await street.host({ listen: [] }), await street.host()]
    places = reserve(home, [relay])
    places.setWanted(true)
    await placed(home)
    expect(places.held()).to.deep.equal([peerIdOf(relay.peerId)])

    const refused = await dialPeer(other, circuitsOf(home), options()).catch((error) => error)
    expect(refused).to.have.property('code', 'PEER_UNREACHABLE')
    const way = await dialPeer(other, circuitsOf(home), { ...options(), relayed: true })
    expect(way.limits).to.not.equal(undefined)
    await other.services.ping.ping(way.remotePeer, options())
    await home.handle(protocol, () => undefined, { runOnLimitedConnection: false })
    const bulk = await way.newStream(protocol, options()).catch((error) => error)
    expect(bulk).to.have.property('name', 'LimitedConnectionError')
    expect(relay.services.relay.relayedBytes).to.be.above(0)
  })

  it('carries no more than its limit', async () => {
    const relay = await street.host({ relaysFor: () => true })
    const [home, other] = [await street.host({ listen: [] }), await street.host()]
    places = reserve(home, [relay])
    places.setWanted(true)
    await placed(home)
    await home.handle(protocol, () => undefined, { runOnLimitedConnection: true })
    const way = await dialPeer(other, circuitsOf(home), { ...options(), relayed: true })
    const stream = await way.newStream(protocol, { ...options(), runOnLimitedConnection: true })
    const closed = once(stream as unknown as EventTarget, 'close', options())
    const piece = new Uint8Array(64 << 10)
    let sent = 0
    while (stream.status === 'open' && sent < 8 << 20) {
      sent += piece.length
      if (!stream.send(piece)) {
        const drained = once(stream as unknown as EventTarget, 'drain', options())
        await Promise.race([drained, closed])
      }
    }
    await closed
    // A home relays 1 MiB a circuit; what is over in the last messages is dropped.
    expect(relay.services.relay.relayedBytes).to.be.within(1 << 19, (1 << 20) + (1 << 18))
  })

  it('is counted at both ends, while a circuit is open and after', async () => {
    const relay = await street.host({ relaysFor: () => true })
    const [home, other] = [await street.host({ listen: [] }), await street.host()]
    const ends = [home, other].map(countRelayedBytes)
    places = reserve(home, [relay])
    places.setWanted(true)
    await placed(home)
    expect(ends.map(({ bytes }) => bytes)).to.deep.equal([0, 0])
    const protocols = { runOnLimitedConnection: true }
    await home.handle(protocol, () => undefined, protocols)
    const way = await dialPeer(other, circuitsOf(home), { ...options(), relayed: true })
    const stream = await way.newStream(protocol, { ...options(), ...protocols })
    stream.send(new Uint8Array(10_000))
    await until(() => ends.every(({ bytes }) => bytes > 10_000))
    const closed = once(home as unknown as EventTarget, 'connection:close', options())
    await way.close(options())
    await closed
    expect(home.getConnections(other.peerId)).to.deep.equal([])
    for (const { bytes } of ends) {
      expect(bytes).to.be.within(10_000, relay.services.relay.relayedBytes)
    }
  })

  it('gives no place to those it does not relay for', async () => {
    const relay = await street.host({ relaysFor: () => false })
    const home = await street.host({ listen: [] })
    const refused = Promise.withResolvers<unknown>()
    places = createRelayPlaces({
      mesh: home,
      relays: () => [addressOf(relay)],
      clock: systemClock,
      logger: { ...silentLogger, debug: refused.resolve },
    })
    places.setWanted(true)
    expect(await refused.promise)
      .to.include({ relay: peerIdOf(relay.peerId) })
      .and.have.property('error')
    expect(places.held()).to.deep.equal([])
    expect(relay.services.relay.reservations.size).to.equal(0)
  })

  it('takes its place again when the relay was away', async () => {
    const seed = new Uint8Array(32).fill(9)
    const first = await street.host({ seed, relaysFor: () => true })
    const at = addressOf(first)
    const listen = at.addresses.map((address) => address.split('/p2p/')[0] ?? '')
    const home = await street.host({ listen: [] })
    places = reserve(home, [first])
    places.setWanted(true)
    await placed(home)
    const gone = once(home as unknown as EventTarget, 'peer:disconnect', options())
    await first.stop()
    await gone
    expect(places.held()).to.deep.equal([])
    const second = await street.host({ seed, listen, relaysFor: () => true })
    // Whoever keeps a link to the relay brings the connection; the place follows by itself.
    await dialPeer(home, at, options())
    await placed(home)
    expect(places.held()).to.deep.equal([at.peer])
    expect(second.services.relay.reservations.size).to.equal(1)
  })
})
