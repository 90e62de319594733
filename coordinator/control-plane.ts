/**
 * The control plane wired up: sessions, images, slots and the loop, over one store, one mesh host
 * and one order key. It knows nothing of HTTP; the API sees it through `groups` and `view`.
 */
import type { Clock } from '../protocol/clock.ts'
import type { PeerId } from '../protocol/ids.ts'
import type { Logger } from '../protocol/log/index.ts'
import type { Mesh } from '../protocol/mesh/index.ts'
import type { Network } from '../protocol/network/index.ts'
import type { TermCertificate } from '../protocol/orders/index.ts'
import type { Signer } from '../protocol/signing/index.ts'
import type { Store } from '../protocol/store/index.ts'
import { type AuditLog, createAuditWitness, startHeadPublisher } from './audit/index.ts'
import type { ControlPlaneView, Groups } from './groups/index.ts'
import { createCacheDesk, openBlobKeys, openImages } from './images/index.ts'
import {
  createBilling,
  type Ledger,
  type Metering,
  openMetering,
  type Prices,
} from './ledger/index.ts'
import { createOrderSigner, type Lists } from './orders/index.ts'
import {
  createControlPlaneView,
  createHolders,
  createOrderBuilder,
  createReconciler,
  createSettling,
  openSlotBook,
  type ReconcilerStats,
  type SlotBook,
} from './reconciler/index.ts'
import type { Sealer } from './secrets/index.ts'
import {
  createAccusations,
  createHouseholds,
  createSessions,
  type Sessions,
} from './sessions/index.ts'
import type { LeaseNumbers } from './slots/index.ts'

export type ControlPlaneInit = Readonly<{
  network: Network
  certificate: TermCertificate
  numbers: LeaseNumbers
  reconnectWindowMs?: number | undefined
  /** Of what an instance costs. */
  chefPercent: number
}>

export type ControlPlaneComponents = Readonly<{
  store: Store
  sealer: Sealer
  mesh: Mesh
  lists: Lists
  groups: Groups
  orderSigner: Signer
  audit: AuditLog
  ledger: Ledger
  prices: Prices
  /** Boot clock. */
  clock: Clock
  /** Coordinator's time. */
  nowMs: () => number
  wallMs: () => number
  logger: Logger
}>

export interface ControlPlane {
  readonly view: ControlPlaneView
  readonly settled: boolean
  /** For whoever watches; never to act upon. */
  readonly observed: Readonly<{
    nodes: Sessions['nodes']
    caches: Sessions['caches']
    slots: SlotBook['slots']
    stats: ReconcilerStats
  }>
  /** Whether a peer is connected as a node or a cache of this network. */
  /** What runs now and is not booked yet. */
  accrued: Metering['accrued']
  isMember(peer: PeerId): boolean
  stop(): Promise<void>
}

/** What a peer has to say before it must be heard to the end. */
const helloMs = 10_000

/** Recovers what the store knows, takes peers, and starts to converge. */
export async function startControlPlane(
  init: ControlPlaneInit,
  components: ControlPlaneComponents,
): Promise<ControlPlane> {
  const { network, certificate, numbers } = init
  const { store, sealer, mesh, lists, groups, orderSigner, clock, nowMs, wallMs } = components
  const { audit, ledger, prices, logger } = components
  const { term } = certificate
  const signer = createOrderSigner({
    ...{ signer: orderSigner, network: network.network, term, nowMs, leaseMs: numbers.leaseMs },
  })
  const book = await openSlotBook({ store, audit })
  const metering = await openMetering(numbers, {
    ...{ store, ledger, clock, nowMs, logger },
    newestOf: (slot) => book.slots.get(slot)?.placement?.fence,
  })
  const keys = await openBlobKeys({ store, sealer })

  const shareCacheAddrs = (peer: PeerId): void => {
    const cache = sessions.caches.get(peer)
    if (!cache?.connected) return
    lists.setCacheAddrs(peer, cache.addrs).then(
      (roster) => roster && sessions.broadcast({ type: 'lists', roster }),
      (error: unknown) => logger.error({ error }, 'the roster could not be renewed'),
    )
  }
  const witness = createAuditWitness({
    ...{ audit, term, pinned: network, logger },
    onAhead: ({ number }, peer) => {
      logger.error(
        { peer, number, own: audit.count },
        'a peer holds a newer head of the audit log than this store: restore it under a new term',
      )
    },
  })
  const sessions = createSessions(
    { helloMs, silenceMs: numbers.leaseMs },
    {
      ...{ mesh, clock, nowMs, network: network.network, orderKey: certificate.orderKey, logger },
      householdOf: createHouseholds(network.householdPerAddress),
      desk: {
        welcome: (peer, hello, observedAddr) => {
          if (hello.term > term) {
            logger.error({ told: hello.term, term }, 'a peer knows of a newer coordinator')
          }
          if (hello.auditHead) void witness.take(peer, hello.auditHead)
          return {
            type: 'welcome',
            certificate: network.certificate,
            roster: lists.roster,
            bans: lists.bans,
            timeMs: nowMs(),
            dhtSecret: lists.dhtSecret,
            observedAddr,
            ...(audit.proof ? { auditHead: audit.proof.head } : {}),
          }
        },
        renew: (peer, beat) => reconciler.renew(peer, beat),
        isCache: (peer) => lists.isCache(peer),
        isJudge: (peer) => lists.isCache(peer) || peer === certificate.coordinator,
        banned: (peer) => lists.isBanned(peer),
        onChange(peer) {
          shareCacheAddrs(peer)
          reconciler.kick()
        },
        onCacheMessage: (peer, message) => cacheDesk.onMessage(peer, message),
        onMisbehaviour: createAccusations({ logger }),
      },
    },
  )
  const cacheDesk = createCacheDesk({ sessions })
  const images = await openImages({
    ...{ store, keys, desk: cacheDesk, sessions, groups, nowMs, logger },
    onChange: () => reconciler.kick(),
  })
  const settling = createSettling({
    startedMs: nowMs(),
    expected: nodesPlaced(book.slots.values()),
    windowMs: init.reconnectWindowMs,
  })
  const holders = createHolders({ book, sessions })
  const builder = createOrderBuilder({
    ...{ signer, sessions, holders, images, groups, wallMs },
    drawTerms: createBilling(init, { prices, nodes: sessions.nodes }),
  })
  const reconciler = createReconciler(numbers, {
    ...{ book, settling, builder, holders, signer, sessions, images, groups },
    ...{ audit, metering, nowMs, wallMs, clock, logger },
  })

  await sessions.start()
  reconciler.start()
  metering.start()
  const stopPublishing = startHeadPublisher({ audit, sessions, clock })
  const stopListening = groups.onChange(() => reconciler.kick())
  return {
    view: createControlPlaneView({ book, sessions, images, reconciler }),
    get settled() {
      return reconciler.settled
    },
    observed: {
      nodes: sessions.nodes,
      caches: sessions.caches,
      slots: book.slots,
      stats: reconciler.stats,
    },
    accrued: (organizationId) => metering.accrued(organizationId),
    isMember: (peer) => (sessions.nodes.get(peer) ?? sessions.caches.get(peer))?.connected ?? false,
    async stop() {
      stopListening()
      stopPublishing()
      // First no more orders, then no more peers, then what was asked of caches.
      await reconciler.stop()
      await sessions.stop()
      await images.stop()
      await metering.stop()
    },
  }
}

function nodesPlaced(
  slots: Iterable<Readonly<{ placement?: Readonly<{ node: PeerId }> }>>,
): ReadonlySet<PeerId> {
  const nodes = new Set<PeerId>()
  for (const { placement } of slots) if (placement) nodes.add(placement.node)
  return nodes
}
