/**
 * One bundle on its way here. The picker decides what to ask, the credits how much, the senders
 * whom; this part hears what they say and keeps the parts in step, so that whatever happens to one
 * sender, its chunks are soon asked of another.
 */
import type { Uint8ArrayList } from 'uint8arraylist'
import type { Run } from '../bundle/index.ts'
import type { BundleStore, StoredBundle } from '../chunk-store/index.ts'
import type { Clock } from '../clock.ts'
import { describeError, errorCode } from '../errors.ts'
import type { BundleId, PeerId } from '../ids.ts'
import type { Logger } from '../log/index.ts'
import type { PeerAddress } from '../mesh/index.ts'
import type { Audiences } from './audience.ts'
import { ChunkExchange } from './chunk-exchange.ts'
import { DescriptorFetch } from './descriptor-fetch.ts'
import { breachCodes, DownloadStoppedError, RefusedError } from './errors.ts'
import type { Misbehaviour, MisbehaviourKind, PeerBook } from './peer-book.ts'
import { plausiblePeers } from './peer-exchange.ts'
import { PhaseTimer, type PhaseTimes } from './phases.ts'
import type { JoinedAnswer, RequesterListener } from './requester.ts'
import type { Sender } from './sender.ts'
import { Senders, type TicketSource } from './senders.ts'
import type { SessionPool } from './session-pool.ts'
import type { SwarmStats } from './stats.ts'
import type { TokenBucket } from './token-bucket.ts'
import { joinHeldBytesMax, type LinkRates, linkRatesOf, type RefusalCode } from './wire.ts'

const tickMs = 250
const earlyHavesMax = 256

export type DownloadComponents = Readonly<{
  store: BundleStore
  pool: SessionPool
  book: PeerBook
  stats: SwarmStats
  bucket: TokenBucket
  /** What telling of new chunks may cost, over all downloads. */
  haveAllowance: TokenBucket
  audience: Audiences
  /** What we say of our own link. */
  linkRates: () => LinkRates
  clock: Clock
  /** For how long this process has had something to do. */
  busyMs: () => number
  random: () => number
  logger: Logger
  self: PeerId
  accuse: (what: Misbehaviour) => void
  onDescriptor: (bundle: StoredBundle) => void
}>

export type DownloadProgress = Readonly<{
  /** As they travel; 0 until the descriptor is here. */
  bytesDone: number
  bytesTotal: number
  /** Verified bytes by sender. */
  fromPeer: ReadonlyMap<PeerId, number>
  phases: PhaseTimes
}>

/** One bundle on its way here; shared by all who want it. */
export class BundleDownload implements RequesterListener {
  readonly bundle: BundleId
  /** May be replaced by that of a caller who came later. */
  ticket: TicketSource
  readonly #with: DownloadComponents
  readonly #senders: Senders
  readonly #fetch: DescriptorFetch
  readonly #ended = new AbortController()
  readonly #done = Promise.withResolvers<StoredBundle>()
  readonly #described = Promise.withResolvers<StoredBundle>()
  readonly #phases: PhaseTimer
  /** Once it has ended. */
  #spent: PhaseTimes | undefined
  #chunks: ChunkExchange | undefined
  #pumping = false
  #napping = false

  constructor(bundle: BundleId, ticket: TicketSource, components: DownloadComponents) {
    this.bundle = bundle
    this.ticket = ticket
    this.#with = components
    this.#phases = new PhaseTimer(components.clock.nowMs())
    const { self, pool, book, clock, busyMs, random, logger } = components
    this.#senders = new Senders({
      ...{ bundle, self, pool, book, clock, busyMs, random, logger },
      ended: this.#ended.signal,
      join: (sender) => this.#introduce(sender),
      onRest: (sender) => this.#chunks?.remove(sender),
    })
    this.#fetch = new DescriptorFetch({
      ...{ bundle, random },
      joined: () => this.#senders.joined(),
      onWhole: (bytes) => void this.#addDescriptor(bytes),
      blame: (peer, kind, detail) => this.#blame(peer, kind, { detail }),
    })
    // Whoever awaits them sees the failure; nobody need.
    this.#done.promise.catch(() => undefined)
    this.#described.promise.catch(() => undefined)
  }

  /** The whole bundle is held. @throws the signal's reason; the store's errors. */
  get done(): Promise<StoredBundle> {
    return this.#done.promise
  }

  /** The descriptor is here; chunks may not be. */
  get descriptor(): Promise<StoredBundle> {
    return this.#described.promise
  }

  /** Aborts when the download is over, well or not. */
  get ended(): AbortSignal {
    return this.#ended.signal
  }

  get active(): boolean {
    return !this.#ended.signal.aborted
  }

  progress(): DownloadProgress {
    const fromPeer = new Map<PeerId, number>()
    for (const { peer, receivedBytes } of this.#senders.all()) {
      if (receivedBytes > 0) fromPeer.set(peer, receivedBytes)
    }
    const bytesTotal = this.#chunks?.stored.layout.travelBytes ?? 0
    const bytesDone = this.#chunks?.heldBytes ?? 0
    return { bytesDone, bytesTotal, fromPeer, phases: this.#phaseTimes() }
  }

  /** More peers that may hold it. Known ones get more addresses. */
  addHints(hints: Iterable<PeerAddress>): void {
    this.#senders.add(hints)
  }

  /** A peer asks us for this bundle: it is there, and soon has some of it. */
  heardOf(peer: PeerId): void {
    this.#senders.heardOf(peer)
  }

  /** Peers that are joined now. */
  get joinedCount(): number {
    return this.#senders.joined().length
  }

  /** A new limit counts for what is under way too. */
  slowDown(bytesPerS: number | undefined): void {
    this.#chunks?.slowDown(bytesPerS)
    this.#pumpSoon()
  }

  /** Asks a peer for nothing more, until the peer book allows it. */
  shun(peer: PeerId): void {
    const sender = this.#senders.get(peer)
    if (sender) this.#senders.rest(sender)
    this.#pumpSoon()
  }

  /** Asks for `chunk` before others: somebody waits to read it. */
  prefer(chunk: number): void {
    this.#chunks?.prefer(chunk)
    this.#pumpSoon()
  }

  /** Starts. Ends by itself when the bundle is complete. */
  start(): void {
    const stored = this.#with.store.get(this.bundle)
    if (stored) this.#describe(stored)
    if (this.active) void this.#tickOn()
  }

  /** Gives up. `done` rejects with `reason` unless it was done. Twice is harmless. */
  stop(reason: unknown = new DownloadStoppedError(this.bundle)): void {
    if (!this.active) return
    this.#ended.abort(reason)
    this.#spent = this.#phases.times(this.#with.clock.nowMs())
    this.#with.stats.spent(this.#spent)
    this.#chunks?.close()
    this.#with.audience.close(this.bundle)
    this.#senders.leaveAll()
    this.#done.reject(reason)
    this.#described.reject(reason)
  }

  // What holders say.

  onJoined(peer: PeerId, joined: JoinedAnswer): void {
    const sender = this.#senders.get(peer)
    if (!sender) return
    sender.phase = 'joined'
    this.#phases.enter('descriptorMs', this.#with.clock.nowMs())
    sender.worked(this.#with.clock.nowMs())
    sender.held = joined.held
    sender.descriptorBytes = joined.descriptorBytes
    sender.link = linkRatesOf(joined)
    this.#chunks?.learn(sender)
    this.#senders.dialMore()
    this.#pumpSoon()
  }

  onDescriptor(peer: PeerId, offset: number, body: Uint8Array): void {
    this.#with.stats.received(peer, body.length)
    const sender = this.#senders.get(peer)
    if (sender && !this.#chunks) {
      this.#fetch.onPiece(sender, offset, body, this.#with.clock.nowMs())
    }
  }

  onHave(peer: PeerId, runs: readonly number[]): void {
    const sender = this.#senders.get(peer)
    if (!sender) return
    if (this.#chunks) this.#chunks.onHave(sender, runs)
    else if (sender.earlyHaves.length < earlyHavesMax) sender.earlyHaves.push(runs)
    this.#pumpSoon()
  }

  onPeers(peer: PeerId, others: readonly PeerAddress[]): void {
    const sender = this.#senders.get(peer)
    if (!sender) return
    if (sender.exchange.admit(this.#with.clock.nowMs())) {
      // They are told of us later than we of them.
      this.#senders.add(plausiblePeers(others), { dial: 'self' })
    } else this.#blame(peer, 'flood', { detail: 'names of other peers' })
  }

  onChunks(peer: PeerId, id: number, run: Run, body: Uint8ArrayList, live: boolean): void {
    const sender = this.#senders.get(peer)
    if (sender) this.#chunks?.onChunks(sender, id, run, body, live)
    this.#pumpSoon()
  }

  onRefused(peer: PeerId, code: RefusalCode, id?: number, chunk?: number): void {
    const sender = this.#senders.get(peer)
    if (!sender) return
    const freed = id === undefined ? [] : (this.#chunks?.free(sender, id) ?? [])
    if (code === 'NOT_HELD') this.#chunks?.lacks(sender, chunk === undefined ? freed : [chunk])
    else if (code !== 'CANCELLED' && !this.#rejoins(sender, code, id)) {
      const error = new RefusedError(peer, this.bundle, code)
      this.#with.logger.debug({ peer, bundle: this.bundle, error }, 'a holder refused')
      this.#senders.rest(sender)
    }
    this.#pumpSoon()
  }

  onClosed(peer: PeerId, error: Error): void {
    const sender = this.#senders.get(peer)
    if (!sender || !this.active) return
    sender.session = undefined
    this.#chunks?.retell(peer)
    if (breachCodes.has(errorCode(error) ?? '')) {
      this.#blame(peer, 'malformed', { detail: describeError(error) })
      return
    }
    this.#senders.rest(sender)
    this.#pumpSoon()
  }

  /** Shows the ticket, and says what we have. */
  #introduce(sender: Sender): void {
    const held = this.#chunks?.stored.held.toBytes()
    sender.introduced = held !== undefined && held.length <= joinHeldBytesMax
    const about = sender.introduced && held ? { held } : {}
    const rates = this.#with.linkRates()
    sender.session?.join(this.bundle, { ticket: this.ticket(), ...about, ...rates }, this)
  }

  /** Whether a refusal needs no more than a newer ticket. */
  #rejoins(sender: Sender, code: RefusalCode, id?: number): boolean {
    if (code !== 'EXPIRED' || !sender.session) return false
    // Requests that crossed the new ticket.
    if (sender.phase === 'waiting' && id !== undefined) return true
    return this.#senders.rejoin(sender)
  }

  // The descriptor.

  async #addDescriptor(bytes: Uint8Array): Promise<void> {
    try {
      const stored = await this.#with.store.add(bytes)
      if (this.active) this.#describe(stored)
    } catch (error) {
      // It has the right name, so no peer is to blame: the bundle itself or our disk is.
      this.stop(error)
    }
  }

  #describe(stored: StoredBundle): void {
    const { bucket, stats, clock, random, haveAllowance, audience } = this.#with
    const chunks = new ChunkExchange({
      ...{ stored, bucket, stats, clock, random },
      senders: this.#senders,
      blame: (peer, kind, facts) => this.#blame(peer, kind, facts),
      haveAllowance,
      room: audience.open(stored),
      onChange: () => this.#changed(stored),
      onFault: (error) => this.stop(error),
    })
    this.#chunks = chunks
    this.#phases.enter('chunksMs', clock.nowMs())
    this.#described.resolve(stored)
    this.#with.onDescriptor(stored)
    for (const sender of this.#senders.all()) chunks.learn(sender)
    this.#changed(stored)
  }

  #changed(stored: StoredBundle): void {
    if (stored.complete && this.active) {
      this.#done.resolve(stored)
      this.stop()
    }
    this.#pumpSoon()
  }

  #blame(peer: PeerId, kind: MisbehaviourKind, facts: Partial<Misbehaviour>): void {
    if (!this.active) return
    this.#with.accuse({ ...facts, peer, bundle: this.bundle, kind })
    this.shun(peer)
  }

  #phaseTimes(): PhaseTimes {
    return this.#spent ?? this.#phases.times(this.#with.clock.nowMs())
  }

  // Asking.

  #pumpSoon(): void {
    if (this.#pumping || !this.active) return
    this.#pumping = true
    queueMicrotask(() => {
      this.#pumping = false
      if (this.active) this.#pump(this.#with.clock.nowMs())
    })
  }

  #pump(nowMs: number): void {
    if (!this.#chunks) {
      this.#fetch.pump(nowMs)
      return
    }
    const waitMs = this.#chunks.fill(nowMs)
    if (this.#chunks.isEndgame) this.#phases.enter('endgameMs', nowMs)
    if (waitMs > 0) this.#nap(waitMs)
  }

  #nap(ms: number): void {
    if (this.#napping) return
    this.#napping = true
    this.#with.clock
      .sleep(ms, { signal: this.#ended.signal })
      .catch(() => undefined)
      .finally(() => {
        this.#napping = false
        this.#pumpSoon()
      })
  }

  async #tickOn(): Promise<void> {
    const { clock } = this.#with
    const { signal } = this.#ended
    while (!signal.aborted) {
      await clock.sleep(tickMs, { signal }).catch(() => undefined)
      if (signal.aborted) return
      this.#with.stats.stalls += this.#senders.restStalled()
      this.#senders.dialMore()
      this.#pump(clock.nowMs())
    }
  }
}
