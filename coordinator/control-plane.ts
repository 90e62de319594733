/**
 * The control plane wired up: sessions, images, slots and the loop, over one store, one mesh host
 * and one order key. It knows nothing of HTTP; the API sees it through `groups` and `view`.
 */
import type { Clock } from '../protocol/clock.ts'
import type { Hello } from '../protocol/control/index.ts'
import type { PeerId } from '../protocol/ids.ts'
import type { Logger } from '../protocol/log/index.ts'
import type { Mesh } from '../protocol/mesh/index.ts'
import type { Network } from '../protocol/network/index.ts'
import type { TermCertificate } from '../protocol/orders/index.ts'
import type { Signer } from '../protocol/signing/index.ts'
import type { Store } from '../protocol/store/index.ts'
import { type AuditSink, type BanBook, spreadBans } from './bans/index.ts'
import { type ControlPlaneView, type Groups, gpuClassOf } from './groups/index.ts'
import { createCacheDesk, openBlobKeys, openImages } from './images/index.ts'
import { createOrderSigner, type Lists } from './orders/index.ts'
import {
  createControlPlaneView,
  createHolders,
  createOrderBuilder,
  createReconciler,
  createSettling,
  openSlotBook,
} from './reconciler/index.ts'
import { openReputation, type Reputation } from './reputation/index.ts'
import type { Sealer } from './secrets/index.ts'
import { openSecurityReview, type SecurityReview } from './security/index.ts'
import {
  createAccusations,
  createHouseholds,
  createSessions,
  type HouseholdLimits,
} from './sessions/index.ts'
import type { LeaseNumbers } from './slots/index.ts'

export type ControlPlaneInit = Readonly<{
  network: Network
  certificate: TermCertificate
  numbers: LeaseNumbers
  reconnectWindowMs?: number | undefined
  /** See the setting `trust`. */
  probationMs: number
  householdLimits: HouseholdLimits
}>

export type ControlPlaneComponents = Readonly<{
  store: Store
  sealer: Sealer
  mesh: Mesh
  lists: Lists
  bans: BanBook
  groups: Groups
  orderSigner: Signer
  audit: AuditSink
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
  readonly security: SecurityReview
  readonly reputation: Reputation
  /** Whether a peer is connected as a node or a cache of this network. */
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
  const { store, sealer, mesh, lists, bans, groups, orderSigner, clock, nowMs } = components
  const { wallMs, audit, logger } = components
  const { term } = certificate
  const signer = createOrderSigner({
    ...{ signer: orderSigner, network: network.network, term, nowMs, leaseMs: numbers.leaseMs },
  })
  const book = await openSlotBook({ store })
  const security = await openSecurityReview({
    ...{ store, bans, audit, nowMs, logger, clockMs: () => clock.nowMs() },
    runsOn: (peer, slot) => {
      const { placement, leaving = [], exclusions = [] } = book.slots.get(slot) ?? {}
      // What it has just stopped may be off its record by now, but for the wait after a failure.
      return [placement, ...leaving, ...exclusions].some((at) => at?.node === peer)
    },
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
  const logAccusation = createAccusations({ logger })
  const reputation: Reputation = await openReputation(
    { probationMs: init.probationMs },
    {
      ...{ store, bans, audit, clock, nowMs, logger },
      nodes: () => sessions.nodes,
      leaving: () => book.withLeaving(),
      classOf: (name, vramBytes) => gpuClassOf(name, vramBytes)?.id,
    },
  )
  /** Number 0 may also mean that it holds none. */
  const isNewestTold = (hello: Hello): boolean =>
    hello.term === term && hello.banNumber === bans.number && bans.number > 0
  const sessions = createSessions(
    { helloMs, silenceMs: numbers.leaseMs },
    {
      ...{ mesh, clock, nowMs, network: network.network, orderKey: certificate.orderKey, logger },
      householdOf: createHouseholds(network.householdPerAddress),
      householdLimits: init.householdLimits,
      desk: {
        welcome: (hello, observedAddr) => {
          if (hello.term > term) {
            logger.error({ told: hello.term, term }, 'a peer knows of a newer coordinator')
          }
          return {
            type: 'welcome',
            certificate: network.certificate,
            roster: lists.roster,
            ...(isNewestTold(hello) ? {} : { bans: bans.signed }),
            timeMs: nowMs(),
            dhtSecret: lists.dhtSecret,
            observedAddr,
          }
        },
        renew: (peer, beat) => reconciler.renew(peer, beat),
        isCache: (peer) => lists.isCache(peer),
        isJudge: (peer) => lists.isCache(peer) || peer === certificate.coordinator,
        banned: (peer) => bans.isBanned(peer),
        onChange(peer) {
          shareCacheAddrs(peer)
          reconciler.kick()
        },
        onCacheMessage: (peer, message) => cacheDesk.onMessage(peer, message),
        onMisbehaviour(by, evidence) {
          const household = sessions.get(by)?.household ?? ''
          logAccusation(by, evidence)
          reputation.accuse({ peer: by, household, isTrusted: lists.isCache(by) }, evidence)
        },
        onRefusal: (peer, refusal) => reputation.refused(peer, refusal),
        standing: (peer) => reputation.standing(peer),
        onSecurityReport(peer, household, report) {
          const { id } = report
          security.take({ peer, household }, report).then(
            (taken) => taken && sessions.send(peer, { type: 'security-taken', id }),
            (error: unknown) => logger.error({ peer, id, error }, 'an alarm could not be taken'),
          )
        },
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
  const builder = createOrderBuilder({ signer, sessions, holders, images, groups, wallMs })
  const reconciler = createReconciler(numbers, {
    ...{ book, settling, builder, holders, signer, sessions, images, groups },
    ...{ nowMs, wallMs, clock, logger, isHeld: security.isHeld },
  })

  const stopSpreading = await spreadBans({
    ...{ book: bans, mesh, clock, logger },
    broadcast: (message) => sessions.broadcast(message),
    refuse: (peer) => sessions.refuse(peer),
    onBanned: () => reconciler.kick(),
  })
  await sessions.start()
  reputation.start()
  reconciler.start()
  const stopListening = groups.onChange(() => reconciler.kick())
  const stopReview = security.onChange(() => reconciler.kick())
  return {
    view: createControlPlaneView({
      ...{ book, sessions, images, reconciler, isHeld: security.isHeld },
    }),
    ...{ security, reputation },
    get settled() {
      return reconciler.settled
    },
    isMember: (peer) => (sessions.nodes.get(peer) ?? sessions.caches.get(peer))?.connected ?? false,
    async stop() {
      stopListening()
      stopReview()
      await stopSpreading()
      await reputation.stop()
      // First no more orders, then no more peers, then what was asked of caches.
      await reconciler.stop()
      await sessions.stop()
      await images.stop()
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
