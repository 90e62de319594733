import { expect } from 'chai'
import { FakeClock, systemClock } from '../../protocol/clock.ts'
import { createCoordinatorTime } from '../../protocol/control/index.ts'
import type { PeerId } from '../../protocol/ids.ts'
import { silentLogger } from '../../protocol/log/index.ts'
import type { Mesh } from '../../protocol/mesh/index.ts'
import { addressOf, createMeshStreet } from '../../protocol/mesh/mesh.fixture.ts'
import { createNetworkOf } from '../../protocol/network/index.ts'
import { orderFixture, nowMs as timeMs } from '../../protocol/orders/orders.fixture.ts'
import { createPulseKeeper, type PulseKeeper, servePulse } from '../../protocol/pulse/index.ts'
import { createLeaseWatch, type LeaseWatch } from './lease-watch.ts'

/** Each 127.x.y.z is a household: hosts on real sockets, far apart as the network file says. */
const networkOf = createNetworkOf(['127.0.0.0/8'])
const lease = {
  leaseEndMs: timeMs + 15_000,
  ...{ strict: false, lostAfterMs: 0, orphanAfterMs: 3_600_000 },
}

describe('a node whose lease lapsed', () => {
  const street = createMeshStreet()
  let f: Awaited<ReturnType<typeof orderFixture>>
  let clock: FakeClock
  let node: Mesh
  let pulses: PulseKeeper
  let watch: LeaseWatch
  let peers: { mesh: Mesh; pulses: PulseKeeper }[]

  const neighbour = async (home: number): Promise<void> => {
    const mesh = await street.host({ listen: [`/ip4/127.0.0.${home}/tcp/0`] })
    const own = createPulseKeeper({ ...f, logger: silentLogger })
    await servePulse({ mesh, pulses: own, clock: systemClock })
    peers.push({ mesh, pulses: own })
  }
  /** Judges until a round of questions has changed what holds. */
  const ruleAfterAsking = async (rule: string): Promise<void> => {
    for (let tries = 0; tries < 400; tries++) {
      if (watch.judge(lease)?.rule === rule) return
      await new Promise((resolve) => setImmediate(resolve))
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    expect(watch.judge(lease)?.rule).to.equal(rule)
  }

  beforeEach(async () => {
    f = await orderFixture()
    clock = new FakeClock(1_000)
    peers = []
    node = await street.host({ listen: ['/ip4/127.0.0.1/tcp/0'] })
    pulses = createPulseKeeper({ ...f, logger: silentLogger })
    const time = createCoordinatorTime({ clock })
    time.take(timeMs, clock.nowMs())
    watch = createLeaseWatch({
      ...{ mesh: node, pulses, time, networkOf, clock, random: Math.random },
      coordinator: () => f.other,
      known: () => peers.map(({ mesh }) => addressOf(mesh)),
      logger: silentLogger,
    })
    watch.learn({ otherHouseholds: 3, seenAt: '/ip4/127.0.0.1/tcp/1' })
  })
  afterEach(async () => {
    await watch.stop()
    await street.stop()
  })

  it('asks nobody while the lease runs', async () => {
    await neighbour(2)
    expect(watch.judge(lease)?.rule).to.equal('leased')
    expect(node.getConnections()).to.have.length(0)
  })

  it('knows by three other households that its own line is up', async () => {
    await Promise.all([2, 3, 4].map(neighbour))
    await clock.advance(16_000)
    expect(watch.judge(lease)?.rule).to.equal('line-down')
    await ruleAfterAsking('orphan')
  })

  it('takes neighbours of its own household for no proof', async () => {
    await Promise.all([1, 1, 1, 2].map(neighbour))
    await clock.advance(16_000)
    watch.judge(lease)
    for (const { mesh } of peers) {
      while (mesh.getConnections().length === 0) await new Promise((r) => setTimeout(r, 5))
    }
    await watch.stop()
    expect(watch.judge(lease)?.rule).to.equal('line-down')
  })

  it('learns from any of them that the coordinator goes on, and believes no forged word', async () => {
    await Promise.all([2, 3, 4].map(neighbour))
    const later = { number: 9, timeMs: lease.leaseEndMs + 500 }
    await clock.advance(16_000)
    const genuine = f.signPulse({ ...later, holding: true })
    expect(peers[1]?.pulses.take(genuine)).to.equal(true)
    await ruleAfterAsking('awaited')
    await clock.advance(6_000)
    expect(peers[2]?.pulses.take(f.signPulse({ ...later, number: 10 }))).to.equal(true)
    await ruleAfterAsking('cut-off')
    expect(pulses.newest?.pulse.number).to.equal(10)
  })

  it('does not ask the coordinator for its pulse: it would vouch for itself', async () => {
    await neighbour(2)
    const [only] = peers
    if (!only) throw new Error('no neighbour')
    const self = addressOf(only.mesh).peer as PeerId
    watch = createLeaseWatch({
      ...{ mesh: node, pulses, networkOf, clock, random: Math.random, logger: silentLogger },
      time: { nowMs: () => lease.leaseEndMs + 1 },
      coordinator: () => self,
      known: () => [addressOf(only.mesh)],
    })
    watch.judge(lease)
    await watch.stop()
    expect(node.getConnections()).to.have.length(0)
  })
})
