import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { openAuditProof } from '../audit/index.ts'
import { systemClock } from '../clock.ts'
import { errorCode } from '../errors.ts'
import type { BundleId, PeerId } from '../ids.ts'
import { silentLogger } from '../log/index.ts'
import { dialPeer, peerIdOf } from '../mesh/index.ts'
import { addressOf } from '../mesh/mesh.fixture.ts'
import { createMemoryStore, type Store } from '../store/index.ts'
import type { PeerControlHandlers } from './control.ts'
import { type FakeCoordinator, startFakeCoordinator } from './fake-coordinator.fixture.ts'
import { openPeer, type Peer } from './peer.ts'

const bundle = 'ab'.repeat(32) as BundleId

describe('protocol/peer', function () {
  this.timeout(20_000)
  let coordinator: FakeCoordinator
  let runDir: string
  let store: Store
  let peers: Peer[]
  const seed = new Uint8Array(randomBytes(32))

  beforeEach(async () => {
    coordinator = await startFakeCoordinator()
    runDir = await mkdtemp(join(tmpdir(), 'potluck-peer-'))
    store = createMemoryStore()
    peers = []
  })
  afterEach(async () => {
    await Promise.all(peers.map((peer) => peer.stop()))
    await coordinator.stop()
    await store.close()
    await rm(runDir, { recursive: true })
  })
  const open = async (network = coordinator.network): Promise<Peer> => {
    const peer = await openPeer(
      {
        ...{ role: 'cache', version: '1', seed, network, runDir, testbed: true, keysOffered: 4 },
        listen: ['/ip4/127.0.0.1/tcp/0'],
      },
      { store, clock: systemClock, random: () => 0, logger: silentLogger },
    )
    peers.push(peer)
    return peer
  }
  const connect = async (peer: Peer, handlers: Partial<PeerControlHandlers> = {}) => {
    const up = Promise.withResolvers<void>()
    const control = peer.connect({
      facts: async () => ({ held: [], bundles: [bundle], keysInUse: [] }),
      state: () => ({ instances: [], bundles: [bundle], misbehaviour: [] }),
      onUp: () => up.resolve(),
      onMessage: () => undefined,
      ...handlers,
    })
    await up.promise
    return control
  }
  const refusal = (work: () => unknown): string | undefined => {
    try {
      work()
    } catch (error) {
      return errorCode(error)
    }
    return undefined
  }

  it('offers keys that open what is sealed to them, refills them, and replaces them', async () => {
    const peer = await open()
    const control = await connect(peer)
    expect(coordinator.keysOf(peer.id)).to.equal(4)
    const sealed = coordinator.seal(peer.id, Buffer.from('for you'))
    expect(Buffer.from(await peer.keys.ring.open(sealed)).toString()).to.equal('for you')

    coordinator.keysWanted = 3
    control.beatNow()
    await coordinator.hears('beat', ({ keys }) => keys !== undefined)
    expect(coordinator.keysOf(peer.id)).to.equal(3 + 3)

    const hellos = () => coordinator.said.filter(({ message }) => message.type === 'hello').length
    expect(hellos()).to.equal(1)
    coordinator.hangUp(peer.id)
    while (hellos() < 2) await coordinator.hears('beat', () => hellos() === 2)
    expect(coordinator.keysOf(peer.id)).to.equal(4)
    expect(await readdir(join(runDir, 'keys'))).to.have.length(4)
    const error = await peer.keys.ring.open(sealed).catch((cause: unknown) => cause)
    expect(errorCode(error)).to.equal('UNSEAL_FAILED')
  })

  it('keeps the newest audit head, tells it in its hello, and keeps the proof of two pasts', async () => {
    const peer = await open()
    await connect(peer)
    const show = (number: number, fill: number) =>
      coordinator.send(peer.id, { type: 'audit-head', head: coordinator.auditHead(number, fill) })
    const helloAfter = async (hellos: number) => {
      coordinator.hangUp(peer.id)
      return await coordinator.hears('hello', ({ auditHead }) => auditHead !== undefined, hellos)
    }
    await show(5, 1)
    await show(9, 1)
    // Another past: the same entry, another hash.
    await show(9, 2)
    const contradiction = async () =>
      (await Array.fromAsync(store.entries({ prefix: 'peer-audit/contradiction' }))).length
    while ((await contradiction()) === 0) await new Promise((resolve) => setImmediate(resolve))
    const { auditHead } = await helloAfter(coordinator.said.length)
    const { number, hash } = openAuditProof(auditHead!, coordinator.network)
    expect([number, hash[0]]).to.deep.equal([9, 1])
  })

  it('tells its capacity in the hello, and in a beat only when it has changed', async () => {
    const peer = await open()
    let allocationsMax = 1
    const capacity = () => ({
      ...{ milliCpus: 4_000, memoryBytes: 8e9, storageBytes: 5e10, gpus: [], region: 'local' },
      ...{ versions: {}, allocationsMax, envAllowed: true },
    })
    const control = await connect(peer, {
      facts: async () => ({ held: [], bundles: [], keysInUse: [], capacity: capacity() }),
      state: () => ({ instances: [], bundles: [], misbehaviour: [], capacity: capacity() }),
    })
    await coordinator.hears('beat', () => true)
    allocationsMax = 2
    control.beatNow()
    await coordinator.hears('beat', (beat) => beat.capacity !== undefined)
    control.beatNow()
    await coordinator.hears('beat', ({ seq }) => seq >= 3)
    const told = coordinator.said.flatMap(({ message }) =>
      message.type === 'hello' || message.type === 'beat' ? [message.capacity?.allocationsMax] : [],
    )
    expect(told).to.deep.equal([1, undefined, 2, undefined])
  })

  it('judges tickets once it knows the time', async () => {
    const peer = await open()
    const other = coordinator.mesh.peerId.toString() as PeerId
    const ticket = coordinator.ticket(other, bundle, 60_000)
    expect(refusal(() => peer.verifyTicket(ticket, other, bundle))).to.equal('BUSY')
    await connect(peer)
    expect(peer.verifyTicket(ticket, other, bundle).expiresMs).to.be.above(coordinator.timeMs())
    const wrong = 'cd'.repeat(32) as BundleId
    expect(refusal(() => peer.verifyTicket(ticket, peer.id, bundle))).to.equal('WRONG_PEER')
    expect(refusal(() => peer.verifyTicket(ticket, other, wrong))).to.equal('WRONG_BUNDLE')
    const old = coordinator.ticket(other, bundle, -10_000)
    expect(refusal(() => peer.verifyTicket(old, other, bundle))).to.equal('EXPIRED')
    const forged = { ...ticket, signature: new Uint8Array(64) }
    expect(refusal(() => peer.verifyTicket(forged, other, bundle))).to.equal('NO_TICKET')
  })

  it('keeps lists over a restart and goes back on none', async () => {
    const banned = await openBanned()
    const cache = coordinator.mesh.peerId.toString() as PeerId
    const oldRoster = coordinator.setRoster([])
    const addrs = ['/ip4/192.0.2.1/tcp/1']
    coordinator.setRoster([{ peer: cache, role: 'cache', addrs }])
    const first = await open()
    await connect(first)
    expect(first.lists.isCache(cache)).to.equal(true)
    await dialPeer(banned, addressOf(first.mesh), { signal: AbortSignal.timeout(5_000) })

    const bans = coordinator.setBans([peerIdOf(banned.peerId)])
    const gone = new Promise((resolve) => {
      first.mesh.addEventListener('connection:close', resolve, { once: true })
    })
    await coordinator.send(first.id, { type: 'lists', bans })
    await gone
    expect(first.lists.isBanned(peerIdOf(banned.peerId))).to.equal(true)
    await first.stop()

    const second = await open()
    expect(second.lists.rosterNumber).to.equal(3)
    expect(second.lists.members('cache')).to.deep.equal([{ peer: cache, addrs }])
    expect(second.lists.isBanned(peerIdOf(banned.peerId))).to.equal(true)
    const error = await second.lists.take({ roster: oldRoster }).catch((cause: unknown) => cause)
    expect(errorCode(error)).to.equal('STALE_LIST')
    const refused = await dialPeer(banned, addressOf(second.mesh), {
      signal: AbortSignal.timeout(5_000),
    }).then(
      (connection) => new Promise((resolve) => connection.addEventListener('close', resolve)),
      (cause: unknown) => cause,
    )
    expect(refused).to.not.equal(undefined)
    await banned.stop()
  })

  it('follows a new term to its coordinator, and never back', async () => {
    const next = await startFakeCoordinator(coordinator)
    try {
      const coordinatorAddrs = [coordinator, next].flatMap((one) => one.network.coordinatorAddrs)
      const peer = await open({ ...coordinator.network, coordinatorAddrs })
      await connect(peer)
      expect(peer.keeper.term).to.equal(1)
      // What the deposed coordinator itself shows at the next connect.
      coordinator.certificate = next.certificate
      coordinator.hangUp(peer.id)
      await next.hears('beat')
      expect(peer.keeper.term).to.equal(2)
      expect(peer.keeper.coordinator).to.equal(peerIdOf(next.mesh.peerId))
      await peer.stop()

      const again = await open()
      expect(again.keeper.term).to.equal(2)
      again.time.take(coordinator.timeMs(), systemClock.nowMs())
      const ticket = coordinator.ticket(again.id, bundle)
      expect(refusal(() => again.verifyTicket(ticket, again.id, bundle))).to.equal('NO_TICKET')
    } finally {
      await next.stop()
    }
  })

  const openBanned = async () => {
    const { createMesh } = await import('../mesh/index.ts')
    return await createMesh(
      { role: 'node', seed: randomBytes(32), testbed: true },
      { banned: () => false, logger: silentLogger },
    )
  }
})
