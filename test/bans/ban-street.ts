/**
 * Many peers and a coordinator in this process, each a libp2p host of its own on loopback, to see
 * how a ban spreads. The coordinator is the production control plane; the peers are what a node is
 * before it does any work: identity, lists, gater, control stream.
 */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openAuditLog } from '../../coordinator/audit/index.ts'
import { openBanBook, sinkOf } from '../../coordinator/bans/index.ts'
import { openChefs } from '../../coordinator/chefs/index.ts'
import { startControlPlane } from '../../coordinator/control-plane.ts'
import { createGroups } from '../../coordinator/groups/index.ts'
import { createLedger, createPrices } from '../../coordinator/ledger/index.ts'
import { defaultPrices } from '../../coordinator/ledger/ledger.fixture.ts'
import { openLists } from '../../coordinator/orders/index.ts'
import { defaultLeaseNumbers } from '../../coordinator/reconciler/index.ts'
import { createSealer } from '../../coordinator/secrets/index.ts'
import { systemClock } from '../../protocol/clock.ts'
import type { PeerId } from '../../protocol/ids.ts'
import { silentLogger as logger } from '../../protocol/log/index.ts'
import { createMesh, dialPeer, type PeerAddress } from '../../protocol/mesh/index.ts'
import { createNetwork, type Network } from '../../protocol/network/index.ts'
import { openTermCertificate } from '../../protocol/orders/index.ts'
import { openPeer, type Peer } from '../../protocol/peer/index.ts'
import { createSigner } from '../../protocol/signing/index.ts'
import { createMemoryStore, type Store } from '../../protocol/store/index.ts'

/** A home that can be switched off and on; its store and identity stay. */
export type Home = { readonly seed: Uint8Array; readonly store: Store; peer: Peer }

export interface BanStreet {
  readonly homes: readonly Home[]
  readonly book: Awaited<ReturnType<typeof openBanBook>>
  /** `away`: it cannot reach the coordinator, only other peers. */
  addHome(init?: { readonly away?: boolean }): Promise<Home>
  switchOff(home: Home): Promise<void>
  switchOn(home: Home, init?: { readonly away?: boolean }): Promise<void>
  stopCoordinator(): Promise<void>
  stop(): Promise<void>
}

const nowMs = (): number => Math.round(Date.now())

async function startCoordinator() {
  const made = await createNetwork({
    name: 'bans',
    coordinatorAddrs: ['/ip4/127.0.0.1/tcp/1'],
    householdPerAddress: ['127.0.0.0/8'],
    issuedMs: nowMs(),
  })
  const certificate = openTermCertificate(made.network.certificate, made.network)
  const store = createMemoryStore()
  const sealer = createSealer([{ id: '00000001', key: Buffer.alloc(32, 7) }])
  const orderSigner = createSigner(made.orderSeed)
  const lists = await openLists(
    { caches: [] },
    { store, sealer, signer: orderSigner, ...certificate, nowMs },
  )
  const { network, term } = certificate
  const audit = await openAuditLog(
    { network, term, certificate: made.network.certificate },
    { store, signer: orderSigner, nowMs, logger },
  )
  const book = await openBanBook({
    ...{ store, signer: orderSigner, network, term, clock: systemClock, nowMs },
    ...{ isTrusted: () => false, audit: sinkOf(audit), logger },
  })
  const mesh = await createMesh(
    {
      ...{ role: 'coordinator', seed: made.coordinatorSeed, testbed: true },
      listen: ['/ip4/127.0.0.1/tcp/0'],
    },
    { banned: book.isBanned.bind(book), logger },
  )
  const groups = await createGroups({ replicasQuota: 1 }, { store, sealer, logger })
  const plane = await startControlPlane(
    {
      ...{ network: made.network, certificate, numbers: defaultLeaseNumbers, probationMs: 0 },
      countries: [],
      chefPercent: 0,
      householdLimits: { nodesMax: 1_000, allocationsMax: 1_000 },
    },
    {
      ...{
        store,
        sealer,
        mesh,
        lists,
        bans: book,
        groups,
        orderSigner,
        chefs: await openChefs({ store }),
        ledger: createLedger(defaultPrices, { store, nowMs }),
        prices: createPrices(defaultPrices),
      },
      ...{ clock: systemClock, nowMs, wallMs: nowMs, audit, logger },
      onSlot: () => undefined,
    },
  )
  const coordinatorAddrs = mesh.getMultiaddrs().map((at) => String(at).replace(/\/p2p\/.*$/, ''))
  return {
    book,
    network: { ...made.network, coordinatorAddrs },
    async stop() {
      await plane.stop()
      await mesh.stop()
      await book.stop()
    },
  }
}

export async function createBanStreet(): Promise<BanStreet> {
  const dir = await mkdtemp(join(tmpdir(), 'potluck-bans-'))
  const coordinator = await startCoordinator()
  const homes: Home[] = []
  let stopped: Promise<void> | undefined
  const stopCoordinator = (): Promise<void> => {
    stopped ??= coordinator.stop()
    return stopped
  }
  const open = async (
    { seed, store }: Pick<Home, 'seed' | 'store'>,
    { away = false }: { readonly away?: boolean },
  ): Promise<Peer> => {
    const nowhere: Network = { ...coordinator.network, coordinatorAddrs: ['/ip4/127.0.0.1/tcp/1'] }
    const runDir = join(dir, Buffer.from(seed).toString('hex').slice(0, 16))
    const peer = await openPeer(
      {
        ...{ role: 'node', version: '1', seed, runDir, testbed: true, keysOffered: 1 },
        ...{ network: away ? nowhere : coordinator.network, listen: ['/ip4/127.0.0.1/tcp/0'] },
      },
      { store, clock: systemClock, random: Math.random, logger },
    )
    if (away) return peer
    const up = Promise.withResolvers<void>()
    peer.connect({
      facts: async () => ({ held: [], bundles: [], keysInUse: [] }),
      state: () => ({ instances: [], bundles: [], misbehaviour: [] }),
      onUp: () => up.resolve(),
      onMessage: () => undefined,
    })
    await up.promise
    return peer
  }
  return {
    homes,
    book: coordinator.book,
    stopCoordinator,
    async addHome(init = {}) {
      const kept = { seed: new Uint8Array(randomBytes(32)), store: createMemoryStore() }
      const home = { ...kept, peer: await open(kept, init) }
      homes.push(home)
      return home
    },
    switchOff: (home) => home.peer.stop(),
    async switchOn(home, init = {}) {
      home.peer = await open(home, init)
    },
    async stop() {
      await Promise.all(homes.map(({ peer }) => peer.stop()))
      await stopCoordinator()
      await rm(dir, { recursive: true, force: true })
    },
  }
}

function addressOf({ peer }: Home): PeerAddress {
  return { peer: peer.id, addresses: peer.mesh.getMultiaddrs().map(String) }
}

export async function meet(from: Home, to: Home): Promise<void> {
  await dialPeer(from.peer.mesh, addressOf(to), { signal: AbortSignal.timeout(20_000) })
}

/** Whether a connection between the two is open at `home`'s end. */
export function isConnected({ peer }: Home, other: PeerId): boolean {
  return peer.mesh.getConnections().some(({ remotePeer }) => remotePeer.toString() === other)
}
