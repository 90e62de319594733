/**
 * The swarm engine of one process: serves what its store holds to those with a ticket, and gets
 * bundles from those who hold them. Nodes and caches run the same one; a cache just never asks.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { BundleStore, StoredBundle } from '../chunk-store/index.ts'
import type { Clock } from '../clock.ts'
import type { BundleId, PeerId } from '../ids.ts'
import type { Logger } from '../log/index.ts'
import { type Mesh, type PeerAddress, peerIdOf, toLibp2pPeerId } from '../mesh/index.ts'
import { createAccuser } from './accuser.ts'
import { Audiences } from './audience.ts'
import type { HolderIndex } from './dht.ts'
import { BundleDownload, type DownloadProgress } from './download.ts'
import { DownloadStoppedError } from './errors.ts'
import { findHolders } from './find-holders.ts'
import { homeHaveDelayMs, revealDelayMs } from './have-teller.ts'
import { makeHeapRoom } from './heap-room.ts'
import { leaveOn } from './leave-on.ts'
import { createLine, type SwarmLimits } from './line.ts'
import { createPeerBook, type Misbehaviour, type PeerBook } from './peer-book.ts'
import type { SeedShare } from './schedule/index.ts'
import type { TicketSource } from './senders.ts'
import { createServing } from './serving.ts'
import { createSessionPool } from './session-pool.ts'
import { type SwarmReport, SwarmStats } from './stats.ts'
import type { VerifyTicket } from './ticket-desk.ts'
import { Uploader } from './uploader.ts'
import type { LinkRates } from './wire.ts'

/**
 * Rates and round trips need finer steps than the boot clock has, and mind suspends less than
 * leases do: a transfer that slept is a stalled one.
 */
export const transferClock: Clock = {
  nowMs: () => performance.now(),
  sleep: (ms, { signal } = {}) => sleep(ms, undefined, signal ? { signal } : {}),
  timeout: (ms) => AbortSignal.timeout(ms),
}

export type SwarmInit = Readonly<{
  limits?: SwarmLimits
  /** Chunks sent at once over all requesters. */
  uploadSlots?: number
}>

export type SwarmComponents = Readonly<{
  mesh: Mesh
  store: BundleStore
  verifyTicket: VerifyTicket
  /** The coordinator's time in ms; undefined while unknown: nothing is served then. */
  timeMs: () => number | undefined
  logger: Logger
  onMisbehaviour?: (what: Misbehaviour) => void
  /** Who has misbehaved before; absent: nobody. */
  book?: PeerBook
  /** Finds holders beyond the hints. */
  holders?: HolderIndex
  clock?: Clock
  /** For a cache: which of the network's seeds it is. Absent: a home, which shows all it has. */
  seed?: () => SeedShare | undefined
  /** Which peers are caches, for the counts. */
  isCache: (peer: PeerId) => boolean
  /** What is known of our own link; told to those we meet. */
  linkRates?: () => LinkRates
  /** Uniform in [0, 1). */
  random?: () => number
}>

export type DownloadRequest = Readonly<{
  bundle: BundleId
  ticket: TicketSource
  hints?: readonly PeerAddress[]
  /** Ends this caller's wait; the download goes on while another caller waits. */
  signal?: AbortSignal
}>

/** One caller's view of a download. */
export interface Download {
  /** @throws the signal's reason; the store's errors; {@link DownloadStoppedError}. */
  readonly done: Promise<StoredBundle>
  /** Resolves as soon as the descriptor is here, long before `done`. */
  readonly descriptor: Promise<StoredBundle>
  progress(): DownloadProgress
  addHints(hints: Iterable<PeerAddress>): void
  /** Asks for a chunk before others: somebody waits to read it. */
  prefer(chunk: number): void
}

export interface Swarm {
  /** Starts to serve. */
  start(): Promise<void>
  /** Ends all streams and downloads. Twice is harmless. */
  stop(): Promise<void>
  /** Gets a bundle; joins the download of it that is under way. */
  download(request: DownloadRequest): Download
  /** More peers that may hold a bundle; forgotten unless it is on its way here. */
  addHints(bundle: BundleId, hints: Iterable<PeerAddress>): void
  /** Tells peers that wait for it, and the DHT, that a bundle is here (ingested, or after a start). */
  announce(bundle: BundleId): void
  setLimits(limits: SwarmLimits): void
  stats(): SwarmReport
}

/** Storing a record at the peers nearest to its key. */
const provideMs = 20_000

type Shared = { readonly download: BundleDownload; callers: number }

/** A swarm on `mesh` over `store`. Serves from `start()` on. */
export function createSwarm(init: SwarmInit, components: SwarmComponents): Swarm {
  const { mesh, store, logger, holders } = components
  const clock = components.clock ?? transferClock
  const random = components.random ?? Math.random
  const onMisbehaviour = components.onMisbehaviour ?? (() => undefined)
  const linkRates = components.linkRates ?? ((): LinkRates => ({}))
  const self = peerIdOf(mesh.peerId)
  const stopped = new AbortController()
  const { signal } = stopped
  const stats = new SwarmStats({ nowMs: () => clock.nowMs(), isCache: components.isCache })
  const book = components.book ?? createPeerBook()
  const line = createLine({ clock, linkRates, signal })
  const seed = components.seed ?? (() => undefined)
  const audience = new Audiences({
    ...{ clock, random, seed, uploadBytesPerS: line.uploadBytesPerS },
    addressesOf: async (peer) => {
      const { addresses } = await mesh.peerStore.get(toLibp2pPeerId(peer))
      return addresses.map(({ multiaddr }) => multiaddr.toString())
    },
  })
  const accuse = createAccuser({
    ...{ book, clock, logger, report: onMisbehaviour },
    onDropped: (peer) => {
      serving.drop(peer)
      for (const { download } of active.values()) download.shun(peer)
    },
  })
  const uploader = new Uploader(
    {
      ...(init.uploadSlots === undefined ? {} : { slots: init.uploadSlots }),
      ...{ rank: audience.rank(), uploadBytesPerS: line.uploadBytesPerS },
    },
    { bucket: line.uploads, clock, random, signal },
  )
  const pool = createSessionPool({ mesh, logger, clock, signal })
  const active = new Map<BundleId, Shared>()
  const running = new Set<Promise<unknown>>()

  const track = (work: Promise<unknown>): void => {
    const done = work
      .catch((error: unknown) => {
        if (!signal.aborted) logger.debug({ error }, 'a task of the swarm failed')
      })
      .finally(() => running.delete(done))
    running.add(done)
  }
  const setLimits = (limits: SwarmLimits): void => {
    line.setLimits(limits)
    uploader.pump()
    for (const { download } of active.values()) download.slowDown(limits.downloadBytesPerS)
  }
  const serving = createServing({
    ...{ audience, linkRates, haveAllowance: line.haves },
    haveDelayMs: components.seed ? () => revealDelayMs : homeHaveDelayMs,
    bundleOf: (bundle) => store.get(bundle),
    expects: (bundle) => active.get(bundle)?.download.active ?? false,
    peerHolds: (peer, bundle, chunk) => audience.holds(peer, bundle, chunk),
    onTick: () => {
      line.refresh()
      uploader.tick()
      audience.tick()
    },
    // Who wants a bundle soon has some of it.
    onJoin: (peer, bundle) => active.get(bundle)?.download.heardOf(peer),
    onSent: (peer, bytes) => stats.sent(peer, bytes),
    verifyTicket: components.verifyTicket,
    timeMs: components.timeMs,
    uploader,
    pace: line.pace,
    clock,
    logger,
    mesh,
    accuse,
    isDropped: (peer) => book.isDropped(peer, clock.nowMs()),
    signal,
  })
  const announce = (bundle: BundleId): void => {
    serving.bundleReady(bundle)
    const until = AbortSignal.any([signal, AbortSignal.timeout(provideMs)])
    if (holders) track(holders.provide(bundle, { signal: until }))
  }
  // What was removed is promised no longer; the record itself runs out.
  const unlisten = store.onRemoved((bundle) => {
    const until = AbortSignal.any([signal, AbortSignal.timeout(provideMs)])
    if (holders) track(holders.withdraw(bundle, { signal: until }))
  })
  const begin = ({ bundle, ticket, hints = [] }: DownloadRequest): Shared => {
    const known = active.get(bundle)
    if (known) {
      known.download.ticket = ticket
      known.download.addHints(hints)
      return known
    }
    const download = new BundleDownload(bundle, ticket, {
      ...{ store, pool, book, stats, clock, random, logger, self, accuse },
      busyMs: () => performance.eventLoopUtilization().active,
      bucket: line.downloads,
      ...{ audience, linkRates, haveAllowance: line.haves },
      onDescriptor: ({ id }) => announce(id),
    })
    const entry = { download, callers: 0 }
    active.set(bundle, entry)
    const heapRoomNoMore = makeHeapRoom()
    const forget = (): void => {
      if (active.get(bundle) === entry) active.delete(bundle)
    }
    track(download.done.then(forget, forget).finally(heapRoomNoMore))
    download.start()
    download.addHints(hints)
    if (holders && download.active) track(findHolders(download, { holders, clock, logger, signal }))
    return entry
  }

  return {
    async start() {
      setLimits(init.limits ?? {})
      await serving.start()
    },
    async stop() {
      stopped.abort(new Error('the swarm was stopped'))
      unlisten()
      for (const { download } of active.values()) download.stop()
      await Promise.all([serving.stop(), pool.stop()])
      await Promise.all(running)
    },
    download(request) {
      const entry = begin(request)
      const { download } = entry
      entry.callers += 1
      const left = leaveOn(request.signal, () => {
        entry.callers -= 1
        if (entry.callers === 0) download.stop(request.signal?.reason)
      })
      if (signal.aborted) download.stop(new DownloadStoppedError(request.bundle))
      const done = left(download.done)
      const descriptor = left(download.descriptor)
      return {
        done,
        descriptor,
        progress: () => download.progress(),
        addHints: (hints) => download.addHints(hints),
        prefer: (chunk) => download.prefer(chunk),
      }
    },
    addHints: (bundle, hints) => active.get(bundle)?.download.addHints(hints),
    announce,
    setLimits,
    stats: () => stats.report(),
  }
}
