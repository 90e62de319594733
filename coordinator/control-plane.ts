/**
 * The control plane wired up: sessions, images, slots and the loop, over one store, one mesh host
 * and one order key. It knows nothing of HTTP; the API sees it through `groups` and `view`.
 */
import type { Clock } from '../protocol/clock.ts'
import type { PeerId } from '../protocol/ids.ts'
import type { Logger } from '../protocol/log/index.ts'
import type { Mesh } from '../protocol/mesh/index.ts'
import { createHouseholds, type Network } from '../protocol/network/index.ts'
import type { TermCertificate } from '../protocol/orders/index.ts'
import type { Signer } from '../protocol/signing/index.ts'
import type { Store } from '../protocol/store/index.ts'
import { type AuditLog, startHeadPublisher } from './audit/index.ts'
import { type BanBook, sinkOf, spreadBans } from './bans/index.ts'
import { type Chefs, createClaimDesk } from './chefs/index.ts'
import { type ControlPlaneView, type Groups, gpuClassOf } from './groups/index.ts'
import { createCacheDesk, openBlobKeys, openImages } from './images/index.ts'
import {
  createBilling,
  type Ledger,
  type Metering,
  openMetering,
  type Prices,
} from './ledger/index.ts'
import { createOrderSigner, type Lists, openPulses } from './orders/index.ts'
import {
  createControlPlaneView,
  createHolders,
  createOrderBuilder,
  createOwnChecks,
  createPulseDesk,
  createReconciler,
  createSettling,
  openBrakeWatch,
  openCrowdBook,
  openSlotBook,
  type Reconciler,
  type ReconcilerStats,
  type Settling,
  type SlotBook,
} from './reconciler/index.ts'
import { openReliabilityBook } from './reliability/index.ts'
import { openReputation, type Reputation } from './reputation/index.ts'
import { type Authority, openRestore, type Terms } from './restore/index.ts'
import type { Sealer } from './secrets/index.ts'
import { openSecurityReview, type SecurityReview } from './security/index.ts'
import { createSessionDesk } from './session-desk.ts'
import {
  type CountryPrefix,
  createCountries,
  createSessions,
  type HouseholdLimits,
  listNodes,
  type NodeListing,
  type Sessions,
} from './sessions/index.ts'
import type { LeaseNumbers, SlotRecord } from './slots/index.ts'

export type ControlPlaneInit = Readonly<{
  network: Network
  certificate: TermCertificate
  numbers: LeaseNumbers
  reconnectWindowMs?: number | undefined
  /** See the setting `trust`. */
  probationMs: number
  householdLimits: HouseholdLimits
  /** The operator's table of prefixes; it outranks the network file's. */
  countries: readonly CountryPrefix[]
  /** How long a replica runs before a higher group may take its node; absent: for good. */
  preemptAfterMs?: number | undefined
  /** Of what an instance costs. */
  chefPercent: number
}>

export type ControlPlaneComponents = Readonly<{
  store: Store
  sealer: Sealer
  mesh: Mesh
  lists: Lists
  bans: BanBook
  groups: Groups
  chefs: Chefs
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
  /** A slot's record has become durable. */
  onSlot: (before: SlotRecord | undefined, after: SlotRecord) => void
}>

export interface ControlPlane {
  readonly view: ControlPlaneView
  readonly settled: boolean
  readonly authority: Pick<Authority, 'doubt'>
  readonly security: SecurityReview
  readonly reputation: Reputation
  /** For whoever watches; never to act upon. */
  readonly observed: Readonly<{
    nodes: Sessions['nodes']
    caches: Sessions['caches']
    slots: SlotBook['slots']
    stats: ReconcilerStats
  }>
  /** What runs now and is not booked yet. */
  accrued: Metering['accrued']
  /** Whether a peer is connected as a node or a cache of this network. */
  isMember(peer: PeerId): boolean
  /** For operators. */
  nodes(): readonly NodeListing[]
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
  const { store, sealer, mesh, lists, bans, groups, chefs, orderSigner, clock, nowMs } = components
  const { wallMs, audit, ledger, prices, logger } = components
  const { term } = certificate
  const restore = await openRestore(network, {
    ...{ store, mesh, bans, nowMs, logger },
    onLost: () => reconciler.kick(),
  })
  const { terms, authority } = restore
  const signer = createOrderSigner({
    ...{ signer: orderSigner, network: network.network, term, nowMs, leaseMs: numbers.leaseMs },
  })
  const book = await openSlotBook({ store, audit })
  book.onChange((after, before) => after && components.onSlot(before, after))
  const metering = await openMetering(numbers, {
    ...{ store, ledger, clock, nowMs, logger },
    newestOf: (slot) => book.slots.get(slot)?.placement?.fence,
  })
  const keys = await openBlobKeys({ store, sealer })

  const { security, reputation } = await openTrust(init, {
    ...{ store, bans, audit, book, clock, nowMs, logger },
    nodes: () => sessions.nodes,
  })
  const sessions = createSessions(
    { helloMs, silenceMs: numbers.leaseMs },
    {
      ...{ mesh, clock, nowMs, network: network.network, logger },
      openAllocation: terms.openAllocation,
      householdOf: createHouseholds(network.householdPerAddress),
      householdLimits: init.householdLimits,
      countryOf: createCountries([...countriesOf(network), ...init.countries]),
      chefOf: (peer) => chefs.ownerOf(peer)?.id,
      desk: createSessionDesk({
        ...{ network, certificate, lists, bans, chefs, audit, book, restore, security, reputation },
        ...{ nowMs, logger },
        late: () => ({
          sessions,
          reconciler,
          reliability,
          pulses,
          pulseDesk,
          cacheDesk,
          claimDesk,
        }),
      }),
    },
  )
  const cacheDesk = createCacheDesk({ sessions })
  const claimDesk = createClaimDesk({
    ...{ chefs, logger },
    answer: (node, answer) => void sessions.send(node, answer),
    onBound: () => reconciler.kick(),
  })
  const images = await openImages({
    ...{ store, keys, desk: cacheDesk, sessions, groups, nowMs, logger },
    onChange: () => reconciler.kick(),
  })
  const settling = await openSettling(init, {
    ...{ store, book, sessions, terms, nowMs, logger },
  })
  const pulses = await openPulses(
    { everyMs: numbers.leaseMs / 3 },
    { ...{ store, nowMs, logger, term }, signer: orderSigner, network: network.network },
  )
  const pulseDesk = createPulseDesk({
    ...{ pulses, sessions },
    facts: () => ({
      settled: reconciler.settled,
      // Who may not order replaces nobody either.
      holding: reconciler.holding || authority.doubt !== undefined,
    }),
  })
  const brake = await openBrakeWatch(numbers, {
    ...{ store, sessions, settling, clock, nowMs, logger },
    ownChecks: createOwnChecks({ mesh, sessions, servers: () => lists.servers, logger }),
    onChange: () => reconciler.kick(),
  })
  const reliability = await openReliabilityBook({
    ...{ store, nodes: sessions.nodes, isSettled: () => settling.settled, nowMs, clock, logger },
  })
  const holders = createHolders({ book, sessions })
  const builder = createOrderBuilder({
    ...{ signer, sessions, holders, images, groups, wallMs },
    drawTerms: createBilling(init, { prices, nodes: sessions.nodes }),
  })
  const reconciler = createReconciler(numbers, {
    mayOrder: () => authority.doubt === undefined,
    ...{ book, settling, brake, builder, holders, signer, sessions, images, groups },
    ...{ audit, metering, nowMs, wallMs, clock, logger, isHeld: security.isHeld },
    ...(init.preemptAfterMs === undefined ? {} : { preemption: { minRunMs: init.preemptAfterMs } }),
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
  metering.start()
  const stopPublishing = startHeadPublisher({ audit, sessions, clock })
  const stopListening = groups.onChange((group) => reconciler.touchGroup(group))
  const stopReview = security.onChange((group) => reconciler.touchGroup(group))
  return {
    view: createControlPlaneView({
      ...{ book, sessions, images, reconciler, isHeld: security.isHeld },
      standstill: () => standstillOf(reconciler, authority),
    }),
    ...{ security, reputation },
    get settled() {
      return reconciler.settled
    },
    authority,
    observed: {
      nodes: sessions.nodes,
      caches: sessions.caches,
      slots: book.slots,
      stats: reconciler.stats,
    },
    accrued: (organizationId) => metering.accrued(organizationId),
    isMember: (peer) => (sessions.nodes.get(peer) ?? sessions.caches.get(peer))?.connected ?? false,
    nodes: () => listNodes(sessions.nodes, chefs.owners()),
    async stop() {
      stopListening()
      stopReview()
      await stopSpreading()
      await reputation.stop()
      stopPublishing()
      // First no more orders, then no more peers, then what was asked of caches.
      await reconciler.stop()
      await brake.stop()
      await restore.stop()
      // Before: that all streams end now is no node's doing.
      await reliability.stop()
      await sessions.stop()
      await images.stop()
      await metering.stop()
    },
  }
}

function standstillOf(
  { holding }: Pick<Reconciler, 'holding'>,
  { doubt }: Pick<Authority, 'doubt'>,
): string | undefined {
  if (doubt) return 'this coordinator may order nothing: its operator has to raise the term'
  return holding
    ? 'many nodes fell silent at once: nothing is replaced until they return, or it is sure that the fault is theirs'
    : undefined
}

/** Who is to be trusted with what: alarms under review, and what nodes' conduct says of them. */
async function openTrust(
  { probationMs }: Pick<ControlPlaneInit, 'probationMs'>,
  parts: Pick<ControlPlaneComponents, 'store' | 'bans' | 'audit' | 'clock' | 'nowMs' | 'logger'> &
    Readonly<{ book: SlotBook; nodes: () => Sessions['nodes'] }>,
) {
  const { store, bans, book, clock, nowMs, nodes, logger } = parts
  const audit = sinkOf(parts.audit)
  const security = await openSecurityReview({
    ...{ store, bans, audit, nowMs, logger, clockMs: () => clock.nowMs() },
    runsOn: (peer, slot) => {
      const { placement, leaving = [], exclusions = [] } = book.slots.get(slot) ?? {}
      // What it has just stopped may be off its record by now, but for the wait after a failure.
      return [placement, ...leaving, ...exclusions].some((at) => at?.node === peer)
    },
  })
  const reputation = await openReputation(
    { probationMs },
    {
      ...{ store, bans, audit, clock, nowMs, nodes, logger },
      leaving: () => book.withLeaving(),
      classOf: (name, vramBytes) => gpuClassOf(name, vramBytes)?.id,
    },
  )
  return { security, reputation }
}

/** The reconnect window, as long as the crowd that came back last time needs. */
async function openSettling(
  { reconnectWindowMs }: Pick<ControlPlaneInit, 'reconnectWindowMs'>,
  parts: Pick<ControlPlaneComponents, 'store' | 'nowMs' | 'logger'> &
    Readonly<{ book: SlotBook; sessions: Sessions; terms: Terms }>,
): Promise<Settling> {
  const { store, book, sessions, terms, nowMs, logger } = parts
  const crowd = await openCrowdBook({ store })
  const cpuMs = (): number => process.cpuUsage().user / 1_000 + process.cpuUsage().system / 1_000
  const startCpuMs = cpuMs()
  return createSettling({
    crowd: crowd.last,
    startedMs: nowMs(),
    expected: nodesPlaced(book.slots.values()),
    windowMs: reconnectWindowMs,
    waitAll: terms.isRestored,
    onSettled() {
      const noted = crowd.note(sessions.nodes.size, cpuMs() - startCpuMs)
      Promise.all([terms.markSettled(), noted]).catch((error: unknown) =>
        logger.error({ error }, 'the end of the reconnect window could not be put on record'),
      )
    },
  })
}

function nodesPlaced(
  slots: Iterable<Readonly<{ placement?: Readonly<{ node: PeerId }> }>>,
): ReadonlySet<PeerId> {
  const nodes = new Set<PeerId>()
  for (const { placement } of slots) if (placement) nodes.add(placement.node)
  return nodes
}

function countriesOf({ countries }: Network): readonly CountryPrefix[] {
  const at = 'countries of the network file'
  return Object.entries(countries).map(([prefix, country]) => ({ prefix, country, at }))
}
