import { once } from 'node:events'
import { expect } from 'chai'
import { systemClock } from '../clock.ts'
import type { PeerId } from '../ids.ts'
import { silentLogger } from '../log/index.ts'
import { sampleAdvert, sampleRegion } from './advert.fixture.ts'
import { type CapacityAdvert, encodeAdvert } from './advert.ts'
import { createAdvertFeed, createAdvertPublisher } from './advert-topic.ts'
import { disconnect, type Mesh } from './create-mesh.ts'
import { peerIdOf } from './identity.ts'
import { createLink, dialPeer, retryCapMs } from './link.ts'
import { addressOf, createMeshStreet, type MeshStreet } from './mesh.fixture.ts'
import { capacityTopic } from './topics.ts'

const signal = () => AbortSignal.timeout(8_000)

/** Waits until `mesh` knows that a neighbour subscribes to the topic. */
async function subscriberSeen(mesh: Mesh, topic: string): Promise<void> {
  while (mesh.services.pubsub.getSubscribers(topic).length === 0) {
    await once(mesh.services.pubsub as unknown as EventTarget, 'subscription-change', {
      signal: signal(),
    })
  }
}

describe('mesh', function () {
  this.timeout(20_000)
  let street: MeshStreet
  beforeEach(() => {
    street = createMeshStreet()
  })
  afterEach(() => street.stop())

  it('refuses a banned peer in both directions, and drops it when it is banned later', async () => {
    const bans = new Set<PeerId>()
    const [careful, stranger] = await Promise.all([
      street.host({ banned: (peer) => bans.has(peer) }),
      street.host(),
    ])
    const connection = await dialPeer(stranger, addressOf(careful), { signal: signal() })
    bans.add(addressOf(stranger).peer)
    const closed = once(connection as unknown as EventTarget, 'close', { signal: signal() })
    disconnect(careful, addressOf(stranger).peer)
    await closed
    await dialPeer(careful, addressOf(stranger), { signal: signal() }).then(
      () => expect.fail('a banned peer was dialled'),
      (error) => expect(error.code).to.equal('PEER_UNREACHABLE'),
    )
    // The gater acts after Noise, so the dialler may first see a connection that is then closed.
    await dialPeer(stranger, addressOf(careful), { signal: signal() })
      .then((open) => open.newStream('/x/1', { signal: signal() }))
      .then(
        () => expect.fail('a banned peer was let in'),
        () => undefined,
      )
    expect(careful.getConnections()).to.have.length(0)
  })

  it('says so when no address answers', async () => {
    const mesh = await street.host()
    const gone = await street.host()
    const address = addressOf(gone)
    await gone.stop()
    const error = await dialPeer(mesh, address, { signal: signal() }).catch((e) => e)
    expect(error.code).to.equal('PEER_UNREACHABLE')
  })

  it('takes adverts published by fan-out, and only those that speak for their author', async () => {
    const [coordinator, chef] = await Promise.all([
      street.host({ role: 'coordinator', regions: [sampleRegion] }),
      street.host({ regions: [sampleRegion] }),
    ])
    const seen: CapacityAdvert[] = []
    let arrived = Promise.withResolvers<void>()
    const feed = createAdvertFeed(
      {
        regions: [sampleRegion],
        onAdvert: (advert) => {
          seen.push(advert)
          arrived.resolve()
        },
      },
      { mesh: coordinator, logger: silentLogger },
    )
    await dialPeer(chef, addressOf(coordinator), { signal: signal() })
    const topic = capacityTopic(sampleRegion)
    await subscriberSeen(chef, topic)
    const me = addressOf(chef).peer
    const publish = createAdvertPublisher({ mesh: chef })

    // A lie and noise first: gossip keeps the order of one neighbour, so what follows proves them gone.
    const lie = sampleAdvert(addressOf(coordinator).peer)
    await chef.services.pubsub.publish(topic, encodeAdvert(lie))
    await chef.services.pubsub.publish(topic, new Uint8Array([1, 2, 3]))
    expect(await publish({ ...sampleAdvert(me), seq: 7 })).to.deep.equal({ recipients: 1 })
    await arrived.promise
    arrived = Promise.withResolvers()
    await publish({ ...sampleAdvert(me), seq: 6 })
    await publish({ ...sampleAdvert(me), seq: 8 })
    await arrived.promise
    expect(seen.map(({ peer, seq }) => ({ peer, seq }))).to.deep.equal([
      { peer: me, seq: 7 },
      { peer: me, seq: 8 },
    ])
    expect(chef.services.pubsub.getTopics()).to.not.include(topic)
    feed.stop()
    feed.stop()
  })

  it('publishes to nobody without an error', async () => {
    const chef = await street.host({ regions: [sampleRegion] })
    const publish = createAdvertPublisher({ mesh: chef })
    expect(await publish(sampleAdvert(addressOf(chef).peer))).to.deep.equal({ recipients: 0 })
  })

  it('keeps a link: dials until the peer is there, and again when it breaks', async () => {
    const chef = await street.host()
    const seed = new Uint8Array(32).fill(7)
    let coordinator = await street.host({ seed })
    const at = addressOf(coordinator)
    await coordinator.stop()
    const listen = at.addresses.map((address) => address.split('/p2p/')[0] ?? '')

    let downs = 0
    const link = createLink(
      { ...at, retryMinMs: 5, retryMaxMs: 50, onDown: () => downs++ },
      { mesh: chef, clock: systemClock, random: () => 1, logger: silentLogger },
    )
    expect(link.connection()).to.equal(undefined)
    coordinator = await street.host({ seed, listen })
    const first = await link.connected({ signal: signal() })
    expect(peerIdOf(first.remotePeer)).to.equal(at.peer)

    await coordinator.stop()
    coordinator = await street.host({ seed, listen })
    while (link.connection() === first) await new Promise((resolve) => setImmediate(resolve))
    const second = await link.connected({ signal: signal() })
    expect(second).to.not.equal(first)
    expect(downs).to.equal(1)
    await link.stop()
    await link.stop()
  })

  it('lets those dial first that need a peer most, and none wait for ever', () => {
    const at = { retryMinMs: 250, retryMaxMs: 10_000 }
    for (let tries = 0; tries < 20; tries++) {
      const urgentMs = retryCapMs(tries, { ...at, isPatient: false })
      const patientMs = retryCapMs(tries, { ...at, isPatient: true })
      expect(urgentMs).to.be.at.most(10_000)
      expect(patientMs)
        .to.be.at.least(2 * urgentMs)
        .and.at.most(20_000)
    }
  })
})
