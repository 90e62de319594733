import { expect } from 'chai'
import { FakeClock } from '../clock.ts'
import type { PeerId } from '../ids.ts'
import { silentLogger } from '../log/index.ts'
import { dialPeer, type Mesh, peerIdOf } from '../mesh/index.ts'
import { addressOf, createMeshStreet, type MeshStreet } from '../mesh/mesh.fixture.ts'
import { openChannel } from '../wire/index.ts'
import { endpointOf } from './endpoint.ts'
import { say } from './meeting.ts'
import { dialFromPort, drawPort } from './open-at-once.ts'
import {
  type PunchCall,
  punchCallCodec,
  punchCallProtocol,
  punchLimits,
  punchWillingCodec,
} from './punch-wire.ts'
import { startPuncher } from './puncher.ts'
import { startRendezvous } from './rendezvous.ts'

const options = () => ({ signal: AbortSignal.timeout(8_000) })

describe('protocol/nat rendezvous', function () {
  this.timeout(20_000)
  let street: MeshStreet
  let stops: (() => Promise<void>)[]
  const clock = new FakeClock(1)
  beforeEach(() => {
    street = createMeshStreet()
    stops = []
  })
  afterEach(async () => {
    await Promise.all(stops.map((stop) => stop()))
    await street.stop()
  })
  const hub = async ({
    allowPrivate = true,
    isMember = (_: PeerId): boolean => true,
  } = {}): Promise<Mesh> => {
    const mesh = await street.host({ role: 'coordinator' })
    const parts = { mesh, isMember, clock, logger: silentLogger }
    const rendezvous = await startRendezvous({ allowPrivate }, parts)
    stops.push(() => rendezvous.stop())
    return mesh
  }
  /** A home that is willing to meet anyone; resolves calls as they come. */
  const willing = async (at: Mesh) => {
    const mesh = await street.host()
    const called = Promise.withResolvers<PunchCall>()
    await mesh.handle(punchCallProtocol, async (stream) => {
      const channel = openChannel(stream, {
        ...{ inbound: punchCallCodec, outbound: punchWillingCodec, ...punchLimits },
      })
      const { message } = await channel.read(options())
      await channel.write({ family: 4 }, options())
      called.resolve(message)
    })
    await dialPeer(mesh, addressOf(at), options())
    return { mesh, peer: peerIdOf(mesh.peerId), called: called.promise }
  }
  const askFor = async (from: Mesh, at: Mesh, peer: PeerId) =>
    await say(
      await dialPeer(from, addressOf(at), options()),
      { t: 'ask', peer, families: [4] },
      options().signal,
    )
  /** Comes to the hub from a port of its own, with a token. */
  const come = async (mesh: Mesh, at: Mesh, token: Uint8Array) => {
    const { peer, addresses } = addressOf(at)
    const [endpoint] = addresses.flatMap((address) => endpointOf(address) ?? [])
    if (!endpoint) throw new Error('the hub has no address')
    const localPort = drawPort(Math.random)
    const init = { peer, at: endpoint, localPort }
    const connection = await dialFromPort(mesh.services.inner, init, options())
    return { localPort, answer: await say(connection, { t: 'here', token }, options().signal) }
  }

  it('tells each of a pair where the other comes from, and one of them to be first', async () => {
    const at = await hub()
    const [a, b] = [await street.host(), await willing(at)]
    const answer = await askFor(a, at, b.peer)
    if (answer.t !== 'wait') throw new Error(`not introduced: ${JSON.stringify(answer)}`)
    const call = await b.called
    expect(call.from).to.equal(peerIdOf(a.peerId))
    const [fromA, fromB] = await Promise.all([
      come(a, at, answer.token),
      come(b.mesh, at, call.token),
    ])
    const address = (port: number): string => `/ip4/127.0.0.1/tcp/${port}`
    expect(fromA.answer).to.deep.equal({ t: 'go', address: address(fromB.localPort), first: true })
    expect(fromB.answer).to.deep.equal({ t: 'go', address: address(fromA.localPort), first: false })
  })

  it('introduces members only, and says no more to strangers than that one is away', async () => {
    const members = new Set<PeerId>()
    const at = await hub({ isMember: (peer) => members.has(peer) })
    const [a, b] = [await street.host(), await willing(at)]
    const refused = { t: 'refused', reason: 'NOT_HERE' }
    members.add(b.peer)
    expect(await askFor(a, at, b.peer)).to.deep.equal(refused)
    members.clear()
    members.add(peerIdOf(a.peerId))
    expect(await askFor(a, at, b.peer)).to.deep.equal(refused)
    const away = addressOf(await street.host()).peer
    members.add(away)
    expect(await askFor(a, at, away)).to.deep.equal(refused)
  })

  it('tells a third that got hold of the token nothing', async () => {
    const at = await hub()
    const [a, b, c] = [await street.host(), await willing(at), await street.host()]
    const answer = await askFor(a, at, b.peer)
    if (answer.t !== 'wait') throw new Error('not introduced')
    const { answer: told } = await come(c, at, answer.token)
    expect(told).to.deep.equal({ t: 'refused', reason: 'NOT_HERE' })
  })

  it('tells no private address unless the network allows it', async () => {
    const at = await hub({ allowPrivate: false })
    const [a, b] = [await street.host(), await willing(at)]
    const answer = await askFor(a, at, b.peer)
    if (answer.t !== 'wait') throw new Error('not introduced')
    const { answer: told } = await come(a, at, answer.token)
    expect(told).to.deep.equal({ t: 'refused', reason: 'NO_COMMON_FAMILY' })
  })

  it('bounds how often one asks', async () => {
    const at = await hub()
    const a = await street.host()
    const away = addressOf(await street.host()).peer
    const reasons = new Map<string, number>()
    for (let asked = 0; asked < 45; asked++) {
      const answer = await askFor(a, at, away)
      const reason = answer.t === 'refused' ? answer.reason : answer.t
      reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
    }
    expect(Object.fromEntries(reasons)).to.deep.equal({ NOT_HERE: 40, TOO_SOON: 5 })
  })

  it('a home meets nobody on the word of one that is no rendezvous of its network', async () => {
    const [home, stranger] = [await street.host(), await street.host()]
    const parts = { clock, random: Math.random, logger: silentLogger }
    const puncher = await startPuncher(
      { allowPrivate: true },
      { mesh: home, rendezvous: () => [], ...parts },
    )
    stops.push(() => puncher.stop())
    const connection = await dialPeer(stranger, addressOf(home), options())
    const stream = await connection.newStream(punchCallProtocol, options())
    const channel = openChannel(stream, {
      ...{ inbound: punchWillingCodec, outbound: punchCallCodec, ...punchLimits },
    })
    const from = addressOf(await street.host()).peer
    const call = { from, token: new Uint8Array(16), families: [4 as const] }
    await channel.write(call, options())
    expect((await channel.read(options())).message).to.deep.equal({ reason: 'UNWILLING' })
  })

  it('leaves a peer alone for a while after it could not be reached', async () => {
    const at = await hub()
    const home = await street.host()
    await dialPeer(home, addressOf(at), options())
    const puncher = await startPuncher(
      { allowPrivate: true },
      {
        ...{ mesh: home, rendezvous: () => [addressOf(at)], clock, random: Math.random },
        logger: silentLogger,
      },
    )
    stops.push(() => puncher.stop())
    const away = addressOf(await street.host()).peer
    const reason = async () => await puncher.connect(away, options()).then(String, (e) => e.reason)
    expect(await reason()).to.equal('NOT_HERE')
    expect(await reason()).to.equal('TOO_SOON')
    await clock.advance(5_000)
    expect(await reason()).to.equal('NOT_HERE')
    expect(puncher.counts).to.deep.equal({ punched: 0, failed: 2 })
  })
})
