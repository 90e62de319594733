/** A coordinator that is restored, one that was deposed, and one whose store has gone back. */
import { randomBytes } from 'node:crypto'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { systemClock } from '../../protocol/clock.ts'
import { identityFromSeed, loadSeed } from '../../protocol/identity/index.ts'
import type { PeerId, SlotId } from '../../protocol/ids.ts'
import { silentLogger } from '../../protocol/log/index.ts'
import { openTermCertificate } from '../../protocol/orders/index.ts'
import { openPeer, type Peer } from '../../protocol/peer/index.ts'
import { createSigner } from '../../protocol/signing/index.ts'
import { createLevelStore, createMemoryStore } from '../../protocol/store/index.ts'
import { noAudit, openBanBook } from '../bans/index.ts'
import {
  containersPath,
  createTestNetwork,
  eventually,
  groupBody,
  startCoordinator,
  type TestCoordinator,
  type TestNetwork,
} from '../testing/coordinator.ts'
import { FakeCache } from '../testing/fake-cache.ts'
import { FakeNode } from '../testing/fake-node.ts'

const cacheSeed = new Uint8Array(32).fill(7)

describe('restore', () => {
  let net: TestNetwork
  let backups: string
  let coordinator: TestCoordinator
  let cache: FakeCache
  let node: FakeNode
  const cleanups: (() => Promise<unknown>)[] = []

  const start = async (port?: number): Promise<void> => {
    const { peer } = await identityFromSeed(cacheSeed)
    coordinator = await startCoordinator(net, { caches: [peer], ...(port ? { port } : {}) })
  }
  const port = (): number => Number(/tcp\/(\d+)/.exec(coordinator.addresses[0] ?? '')?.[1])
  /** The whole data folder, keys and network file included. */
  const backUp = (name: string) => cp(net.dataDir, join(backups, name), { recursive: true })
  const putBack = async (name: string, what = ''): Promise<void> => {
    await rm(join(net.dataDir, what || 'store'), { recursive: true, force: true })
    await cp(join(backups, name, what || 'store'), join(net.dataDir, what || 'store'), {
      recursive: true,
    })
  }
  const isRunning = (slot: SlotId, epoch: number): boolean =>
    node.holds.get(slot)?.report.state === 'running' && node.holds.get(slot)?.report.epoch === epoch
  const deploy = () => coordinator.request('POST', containersPath, groupBody())
  /** A peer with the real lists and term, which keeps what it has seen. */
  const observer = async (addresses: readonly string[]): Promise<Peer> => {
    const coordinatorAddrs = addresses.map((address) => address.replace(/\/p2p\/.*$/, ''))
    const runDir = await mkdtemp(join(tmpdir(), 'potluck-restore-'))
    const peer = await openPeer(
      {
        ...{ role: 'node', version: 'test', seed: new Uint8Array(randomBytes(32)), runDir },
        ...{ network: { ...net.network, coordinatorAddrs }, testbed: true },
        listen: ['/ip4/127.0.0.1/tcp/0'],
      },
      {
        ...{ store: createMemoryStore(), clock: systemClock, random: Math.random },
        logger: silentLogger,
      },
    )
    const nothing = { held: [], bundles: [], keysInUse: [] }
    peer.connect({
      facts: async () => nothing,
      state: () => ({ instances: [], bundles: [], misbehaviour: [] }),
      onMessage: () => undefined,
    })
    cleanups.push(async () => {
      await peer.stop()
      await rm(runDir, { recursive: true })
    })
    return peer
  }
  /** A ban as the next list says it, made while the coordinator stands still. */
  const ban = async (peer: PeerId): Promise<number> => {
    const store = await createLevelStore({ path: join(net.dataDir, 'store') })
    const signer = createSigner(await loadSeed(join(net.dataDir, 'order.key')))
    const book = await openBanBook({
      ...{ store, signer, ...openTermCertificate(net.network.certificate, net.network) },
      ...{ clock: systemClock, nowMs: () => Date.now(), isTrusted: () => false },
      ...{ audit: noAudit, logger: silentLogger },
    })
    await book.ban({ peer, source: 'operator', by: 'test' })
    await book.stop()
    await store.close()
    return book.number
  }

  beforeEach(async () => {
    net = await createTestNetwork()
    backups = await mkdtemp(join(tmpdir(), 'potluck-backup-'))
    await start()
    const at = { network: net.network, addresses: coordinator.addresses }
    cache = new FakeCache({ ...at, seed: cacheSeed })
    await cache.start()
    node = new FakeNode(at)
    await node.start()
  })
  afterEach(async () => {
    for (const clean of cleanups.splice(0)) await clean()
    await node.crash()
    await cache.crash()
    await coordinator.stop()
    await net.remove()
    await rm(backups, { recursive: true })
  })

  /** A group that runs; a backup of then; and a newer epoch, which the backup does not know. */
  const outliveTheBackup = async (): Promise<SlotId> => {
    const { body } = await deploy()
    const slot = `${body.id}/0` as SlotId
    await eventually('it runs', () => isRunning(slot, 1))
    const listening = port()
    await coordinator.stop()
    await backUp('yesterday')
    await start(listening)
    await eventually('the node is back', () => node.link?.isUp)
    await coordinator.request('PATCH', `${containersPath}/hello`, {
      container: { environment_variables: { NEW: 'yes' } },
    })
    await eventually('a newer epoch runs', () => isRunning(slot, 2))
    return slot
  }

  it('under a new term finds newer orders again, and goes on with the newest ban list', async () => {
    const slot = await outliveTheBackup()
    const { instance } = node.holds.get(slot)?.report ?? {}
    const listening = port()
    const peer = await observer(coordinator.addresses)
    await coordinator.stop()
    const evil = (await identityFromSeed(new Uint8Array(32).fill(66))).peer
    const number = await ban(evil)
    await start(listening)
    await eventually('the ban is known', () => peer.lists.isBanned(evil))
    await coordinator.stop()
    await backUp('today')

    await putBack('yesterday')
    await net.raiseTerm()
    await start(listening)
    await eventually('the node follows', () => node.keeper.term === 2 && node.link?.isUp, 15_000)
    await eventually('it is re-adopted', () => isRunning(slot, 3))
    const held = node.holds.get(slot)
    expect(held?.allocation).to.include({ term: 2, epoch: 3, instance })
    await eventually('the observer follows', () => peer.keeper.term === 2 && peer.lists.banNumber)
    await eventually('the list goes on', () => peer.lists.banNumber > number, 15_000)
    expect(peer.lists.isBanned(evil)).to.equal(true)
    expect((await deploy()).status).to.equal(409)
    const pulses = await eventually('a pulse of the new term', () => {
      const newest = peer.pulses.newest
      return newest?.pulse.term === 2 && newest
    })

    // The old one comes back from the dead, with its store, key and certificate of then.
    await coordinator.stop()
    for (const what of ['store', 'order.key', 'network.json']) await putBack('today', what)
    await start(listening)
    const deposed = await eventually(
      'it learns that it is deposed',
      async () => {
        const answer = await coordinator.request('POST', containersPath, groupBody({ name: 'x' }))
        return answer.status === 503 && answer
      },
      15_000,
    )
    expect(deposed.body).to.include({ code: 'COORDINATOR_NOT_IN_FORCE' })
    const read = await coordinator.request('GET', containersPath)
    expect(read.status).to.equal(200)
    expect(peer.keeper.term).to.equal(2)
    expect(peer.pulses.newest?.signed).to.deep.equal(pulses.signed)
    expect(node.holds.get(slot)?.allocation).to.include({ term: 2, epoch: 3 })
  }).timeout(90_000)

  it('without a new term is found out by a newer order, and orders nothing', async () => {
    const slot = await outliveTheBackup()
    node.pulse = undefined
    const taken = node.taken.length
    const listening = port()
    await coordinator.stop()
    await putBack('yesterday')
    await start(listening)
    await eventually('it stops ordering', async () => {
      const { status } = await coordinator.request('PATCH', `${containersPath}/hello`, {
        replicas: 2,
      })
      return status === 503
    })
    const answers = node.beatAnswers
    await eventually('beats are answered', () => node.beatAnswers > answers + 5)
    expect(node.taken).to.have.length(taken)
    expect(isRunning(slot, 2)).to.equal(true)

    // Nor after another start, before anybody has shown it anything.
    await coordinator.stop()
    await start(listening)
    const { status } = await coordinator.request('POST', containersPath, groupBody({ name: 'x' }))
    expect(status).to.equal(503)
  }).timeout(60_000)

  it('without a new term is found out by a pulse, though no order is missing', async () => {
    await eventually('a pulse', () => node.pulse)
    const listening = port()
    await coordinator.stop()
    await backUp('yesterday')
    await start(listening)
    const before = node.pulse
    await eventually('a pulse of today', () => node.pulse !== before)
    await coordinator.stop()
    await putBack('yesterday')
    await start(listening)
    await eventually('it stops ordering', async () => (await deploy()).status === 503)
  }).timeout(60_000)

  it('under a new term keeps renewed what it does not know, until the operator decides', async () => {
    const listening = port()
    await coordinator.stop()
    await backUp('yesterday')
    await start(listening)
    const { body } = await deploy()
    const slot = `${body.id}/0` as SlotId
    await eventually('it runs', () => isRunning(slot, 1))
    await coordinator.stop()
    await putBack('yesterday')
    await net.raiseTerm()
    await start(listening)
    await eventually('the node follows', () => node.keeper.term === 2 && node.link?.isUp, 15_000)
    const known = await coordinator.request('GET', `${containersPath}/hello`)
    expect(known.status).to.equal(404)
    for (let renewals = 0; renewals < 3; renewals++) {
      const endMs = node.leases.get(slot) ?? 0
      await eventually('it is renewed', () => (node.leases.get(slot) ?? 0) > endMs)
    }
    expect(isRunning(slot, 1)).to.equal(true)
    expect(node.taken).to.have.length(1)
  }).timeout(60_000)

  it('a restart in good order is no restore', async () => {
    const { body } = await deploy()
    const slot = `${body.id}/0` as SlotId
    await eventually('it runs', () => isRunning(slot, 1))
    for (let restarts = 0; restarts < 3; restarts++) {
      const listening = port()
      await coordinator.stop()
      await start(listening)
      await eventually('the node is back', () => node.link?.isUp)
    }
    const { status } = await coordinator.request('PATCH', `${containersPath}/hello`, {
      replicas: 1,
    })
    expect(status).to.equal(200)
    expect(node.taken).to.have.length(1)
  }).timeout(60_000)
})
