/**
 * One bundle on its way here: whom to ask, what to ask of whom, and what to do when they lie, stall
 * or leave. The picker decides what, the credits how much; this part carries it out and keeps
 * account, so that whatever happens to one sender, its chunks are soon asked of another.
 */
import { hash } from 'node:crypto'
import { Bitfield } from '../bundle/index.ts'
import type { BundleStore, StoredBundle } from '../chunk-store/index.ts'
import type { Clock } from '../clock.ts'
import { describeError, errorCode } from '../errors.ts'
import type { BundleId, PeerId } from '../ids.ts'
import type { Logger } from '../log/index.ts'
import type { PeerAddress } from '../mesh/index.ts'
import type { Signed } from '../wire/index.ts'
import { ChunkAsker } from './chunk-asker.ts'
import { DescriptorAssembly } from './descriptor-assembly.ts'
import { DownloadStoppedError, RefusedError } from './errors.ts'
import type { Misbehaviour, MisbehaviourKind, PeerBook } from './peer-book.ts'
import { Picker } from './picker.ts'
import type { RequesterListener } from './requester.ts'
import { Sender, stallMinMs } from './sender.ts'
import type { SessionPool } from './session-pool.ts'
import type { SwarmStats } from './stats.ts'
import type { TokenBucket } from './token-bucket.ts'
import { chunksMax, decodeRuns, type RefusalCode } from './wire.ts'

/** All in one swarm up to so many (swarm.md 2.4): beyond, those known first are asked. */
const sendersMax = 32
/** Peers that are remembered as possible senders. */
const knownPeersMax = 1024
const tickMs = 250
const earlyHavesMax = 256
/** A renewed ticket is shown at most so often to one peer. */
const rejoinMs = 5_000

const nothing = new Uint8Array(0)
const breachCodes = new Set(['MALFORMED_MESSAGE', 'MESSAGE_TOO_LARGE', 'PROTOCOL_BREACH'])

/** Gives the newest ticket; asked again when one has expired. */
export type TicketSource = () => Signed

export type DownloadComponents = Readonly<{
  store: BundleStore
  pool: SessionPool
  book: PeerBook
  stats: SwarmStats
  bucket: TokenBucket
  clock: Clock
  random: () => number
  logger: Logger
  self: PeerId
  onMisbehaviour: (what: Misbehaviour) => void
  onDescriptor: (bundle: StoredBundle) => void
}>

export type DownloadProgress = Readonly<{
  /** As they travel; 0 until the descriptor is here. */
  bytesDone: number
  bytesTotal: number
  /** Verified bytes by sender. */
  fromPeer: ReadonlyMap<PeerId, number>
}>

/** One bundle on its way here; shared by all who want it. */
export class BundleDownload implements RequesterListener {
  readonly bundle: BundleId
  /** May be replaced by that of a caller who came later. */
  ticket: TicketSource
  readonly #with: DownloadComponents
  readonly #senders = new Map<PeerId, Sender>()
  /** Chunks that came and are being written, and who sent them. */
  readonly #arriving = new Map<number, Sender>()
  readonly #ended = new AbortController()
  readonly #done = Promise.withResolvers<StoredBundle>()
  readonly #described = Promise.withResolvers<StoredBundle>()
  #assembly: DescriptorAssembly | undefined
  /** Who was late with the descriptor in this round, and how many rounds there were. */
  readonly #late = new Set<PeerId>()
  #lateRounds = 0
  #adding = false
  #stored: StoredBundle | undefined
  #picker: Picker | undefined
  #asker: ChunkAsker | undefined
  #unsubscribe: () => void = () => undefined
  #heldBytes = 0
  #pumping = false
  #napping = false

  constructor(bundle: BundleId, ticket: TicketSource, components: DownloadComponents) {
    this.bundle = bundle
    this.ticket = ticket
    this.#with = components
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
    for (const { peer, receivedBytes } of this.#senders.values()) {
      if (receivedBytes > 0) fromPeer.set(peer, receivedBytes)
    }
    const bytesTotal = this.#stored?.layout.travelBytes ?? 0
    return { bytesDone: this.#heldBytes, bytesTotal, fromPeer }
  }

  /** More peers that may hold it. Known ones get more addresses. */
  addHints(hints: Iterable<PeerAddress>): void {
    for (const { peer, addresses } of hints) {
      if (peer === this.#with.self || !this.active) continue
      let sender = this.#senders.get(peer)
      if (!sender) {
        if (this.#senders.size >= knownPeersMax) return
        sender = new Sender(peer)
        this.#senders.set(peer, sender)
      }
      for (const address of addresses) sender.addresses.add(address)
    }
    this.#dialMore(this.#with.clock.nowMs())
  }

  /** A peer asks us for this bundle: it is there, and soon has some of it. */
  heardOf(peer: PeerId): void {
    const sender = this.#senders.get(peer)
    // What it is avoided for stands: see the peer book.
    if (sender) sender.retryAtMs = 0
    this.addHints([{ peer, addresses: [] }])
  }

  /** Peers that are joined now. */
  get joinedCount(): number {
    let count = 0
    for (const { phase } of this.#senders.values()) if (phase === 'joined') count += 1
    return count
  }

  /** Asks for `chunk` before others: somebody waits to read it. */
  prefer(chunk: number): void {
    this.#picker?.prefer(chunk)
    this.#pumpSoon()
  }

  peerHolds(peer: PeerId, chunk: number): boolean {
    return this.#picker?.peerHolds(peer, chunk) ?? false
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
    this.#unsubscribe()
    for (const sender of this.#senders.values()) {
      const { session } = sender
      sender.session = undefined
      sender.settleAll()
      session?.leave(this.bundle)
    }
    this.#done.reject(reason)
    this.#described.reject(reason)
  }

  // What holders say.

  onJoined(peer: PeerId, descriptorBytes: number, held: Uint8Array): void {
    const sender = this.#senders.get(peer)
    if (!sender) return
    sender.phase = 'joined'
    sender.worked(this.#with.clock.nowMs())
    sender.held = held
    sender.descriptorBytes = descriptorBytes
    if (this.#picker) this.#learn(sender)
    this.#pumpSoon()
  }

  onDescriptor(peer: PeerId, offset: number, body: Uint8Array): void {
    this.#with.stats.received(peer, body.length)
    const assembly = this.#assembly
    if (!assembly || assembly.peer !== peer || this.#stored || this.#adding) return
    // It answers an earlier try, which was given up.
    if (offset !== assembly.offset) return
    try {
      const whole = assembly.add(offset, body, this.#with.clock.nowMs())
      if (whole) void this.#addDescriptor(whole)
      else this.#senders.get(peer)?.session?.requestDescriptor(this.bundle, assembly.offset)
    } catch (error) {
      this.#assembly = undefined
      const wrong = errorCode(error) === 'WRONG_DESCRIPTOR'
      this.#blame(peer, wrong ? 'wrong-descriptor' : 'malformed', { detail: describeError(error) })
    }
  }

  onHave(peer: PeerId, runs: readonly number[]): void {
    const sender = this.#senders.get(peer)
    if (!sender) return
    if (!this.#picker) {
      if (sender.earlyHaves.length < earlyHavesMax) sender.earlyHaves.push(runs)
      return
    }
    const decoded = decodeRuns(runs, this.#stored?.layout.chunkCount ?? chunksMax)
    if (!decoded) {
      this.#blame(peer, 'malformed', { detail: 'runs of a have' })
      return
    }
    for (const run of decoded) this.#picker.peerGained(peer, run)
    this.#pumpSoon()
  }

  onChunk(peer: PeerId, id: number, chunk: number, body: Uint8Array, live: boolean): void {
    const sender = this.#senders.get(peer)
    const stored = this.#stored
    if (!sender || !stored) return
    const nowMs = this.#with.clock.nowMs()
    const asked = sender.asked.get(chunk)
    if (live && asked?.id === id) {
      sender.settle(chunk)
      if (asked.first) sender.credit.answered(nowMs - asked.atMs)
    }
    sender.worked(nowMs)
    sender.credit.arrived(body.length, nowMs)
    this.#with.stats.received(peer, body.length)
    if (stored.held.has(chunk)) this.#duplicate(body.length)
    else void this.#keep(sender, stored, chunk, body)
    this.#pumpSoon()
  }

  onRefused(peer: PeerId, code: RefusalCode, id?: number, chunk?: number): void {
    const sender = this.#senders.get(peer)
    if (!sender) return
    const freed = id === undefined ? [] : (this.#asker?.free(sender, id) ?? [])
    if (code === 'NOT_HELD') {
      for (const missing of chunk === undefined ? freed : [chunk]) {
        if (missing < (this.#stored?.layout.chunkCount ?? 0)) this.#picker?.peerLost(peer, missing)
      }
    } else if (!this.#rejoin(sender, code, id)) {
      const error = new RefusedError(peer, this.bundle, code)
      this.#with.logger.debug({ peer, bundle: this.bundle, error }, 'a holder refused')
      this.#rest(sender)
    }
    this.#pumpSoon()
  }

  onClosed(peer: PeerId, error: Error): void {
    const sender = this.#senders.get(peer)
    if (!sender || !this.active) return
    sender.session = undefined
    if (breachCodes.has(errorCode(error) ?? '')) {
      this.#blame(peer, 'malformed', { detail: describeError(error) })
      return
    }
    this.#rest(sender)
    this.#pumpSoon()
  }

  // The descriptor.

  #wantDescriptor(nowMs: number): void {
    if (this.#adding) return
    const before = this.#assembly
    const gone = before && this.#senders.get(before.peer)?.phase !== 'joined'
    if (before && !gone && !before.isLate(nowMs)) return
    if (before && !gone) this.#late.add(before.peer)
    const joined = [...this.#senders.values()].filter(({ phase }) => phase === 'joined')
    if (joined.length > 0 && joined.every(({ peer }) => this.#late.has(peer))) {
      this.#late.clear()
      this.#lateRounds += 1
    }
    const fresh = joined.filter(({ peer }) => !this.#late.has(peer))
    const from = fresh[Math.floor(this.#with.random() * fresh.length)]
    if (!from) return
    const { peer, descriptorBytes: sizeBytes } = from
    const rounds = this.#lateRounds
    try {
      const { bundle } = this
      this.#assembly = new DescriptorAssembly({ bundle, peer, sizeBytes, nowMs, rounds })
      from.session?.requestDescriptor(this.bundle, 0)
    } catch (error) {
      this.#assembly = undefined
      this.#blame(from.peer, 'malformed', { detail: describeError(error) })
    }
  }

  async #addDescriptor(bytes: Uint8Array): Promise<void> {
    this.#adding = true
    try {
      const stored = await this.#with.store.add(bytes)
      if (this.active) this.#describe(stored)
    } catch (error) {
      // It has the right name, so no peer is to blame: the bundle itself or our disk is.
      this.stop(error)
    }
  }

  #describe(stored: StoredBundle): void {
    const { layout, held } = stored
    const bytesOf = (chunk: number): number => layout.locate(chunk).travelBytes
    this.#stored = stored
    this.#picker = new Picker({
      chunkCount: layout.chunkCount,
      held,
      bytesOf,
      random: this.#with.random,
    })
    this.#asker = new ChunkAsker({
      ...{ bundle: this.bundle, layout, picker: this.#picker },
      senderOf: (peer) => this.#senders.get(peer as PeerId),
      bucket: this.#with.bucket,
      stats: this.#with.stats,
    })
    for (const { start, count } of held.runs()) {
      for (let chunk = start; chunk < start + count; chunk++) this.#heldBytes += bytesOf(chunk)
    }
    const offHeld = stored.onHeld((chunk) => this.#gained(chunk))
    const offLost = stored.onLost((chunk) => {
      this.#heldBytes -= bytesOf(chunk)
      this.#picker?.lost(chunk)
      this.#pumpSoon()
    })
    this.#unsubscribe = () => {
      offHeld()
      offLost()
    }
    this.#described.resolve(stored)
    this.#with.onDescriptor(stored)
    for (const sender of this.#senders.values()) if (sender.held) this.#learn(sender)
    this.#finishIfComplete()
    this.#pumpSoon()
  }

  /** Takes what a sender said it has into the picker, once the numbers mean something. */
  #learn(sender: Sender): void {
    const chunkCount = this.#stored?.layout.chunkCount ?? 0
    try {
      this.#picker?.setPeer(sender.peer, Bitfield.fromBytes(chunkCount, sender.held ?? nothing))
    } catch (error) {
      this.#blame(sender.peer, 'malformed', { detail: describeError(error) })
      return
    }
    sender.held = undefined
    for (const runs of sender.earlyHaves.splice(0)) this.onHave(sender.peer, runs)
  }

  // Chunks.

  async #keep(sender: Sender, stored: StoredBundle, chunk: number, body: Uint8Array) {
    const { stats } = this.#with
    stats.writingBytes += body.length
    try {
      this.#arriving.set(chunk, sender)
      if ((await stored.put(chunk, body)) === 'held') this.#duplicate(body.length)
    } catch (error) {
      if (!this.active) return
      if (errorCode(error) !== 'WRONG_CHUNK') return this.stop(error)
      stats.wrongChunks += 1
      this.#blame(sender.peer, 'wrong-chunk', {
        chunk,
        expectedName: Buffer.from(stored.layout.nameOf(chunk)).toString('hex'),
        gotName: hash('sha256', body, 'hex'),
      })
    } finally {
      stats.writingBytes -= body.length
      if (this.#arriving.get(chunk) === sender) this.#arriving.delete(chunk)
      this.#picker?.release(chunk, sender.peer)
      this.#pumpSoon()
    }
  }

  #gained(chunk: number): void {
    const asked = this.#picker?.gained(chunk)
    const bytes = this.#stored?.layout.locate(chunk).travelBytes ?? 0
    const from = this.#arriving.get(chunk)
    this.#heldBytes += bytes
    if (from) from.receivedBytes += bytes
    const owner = asked === undefined ? undefined : this.#senders.get(asked as PeerId)
    const request = owner?.asked.get(chunk)
    // It came from elsewhere (another bundle, a late sender): what is left is asked anew.
    if (owner && request) this.#asker?.cancel(owner, request.id)
    this.#finishIfComplete()
    this.#pumpSoon()
  }

  #finishIfComplete(): void {
    const stored = this.#stored
    if (!stored?.complete || !this.active) return
    this.#done.resolve(stored)
    this.stop()
  }

  #duplicate(bytes: number): void {
    if (this.#asker) this.#asker.duplicateBytes += bytes
    this.#with.stats.duplicateBytes += bytes
  }

  // Senders.

  #pumpSoon(): void {
    if (this.#pumping || !this.active) return
    this.#pumping = true
    queueMicrotask(() => {
      this.#pumping = false
      if (this.active) this.#pump(this.#with.clock.nowMs())
    })
  }

  #pump(nowMs: number): void {
    if (!this.#picker) {
      this.#wantDescriptor(nowMs)
      return
    }
    for (const sender of this.#senders.values()) {
      if (sender.phase !== 'joined' || !sender.session) continue
      const waitMs = this.#asker?.fill(sender, nowMs) ?? 0
      if (waitMs > 0) this.#nap(waitMs)
    }
  }

  #dialMore(nowMs: number): void {
    if (!this.active) return
    let busy = 0
    for (const { phase } of this.#senders.values()) if (phase !== 'resting') busy += 1
    for (const sender of this.#senders.values()) {
      if (busy >= sendersMax) return
      if (sender.phase !== 'resting' || nowMs < sender.retryAtMs) continue
      sender.retryAtMs = this.#with.book.avoidUntilMs(sender.peer, this.bundle)
      if (nowMs < sender.retryAtMs) continue
      busy += 1
      void this.#join(sender)
    }
  }

  async #join(sender: Sender): Promise<void> {
    const { pool, logger, clock, random } = this.#with
    sender.phase = 'dialling'
    try {
      const session = await pool.open({ peer: sender.peer, addresses: [...sender.addresses] })
      if (!this.active) return
      sender.session = session
      sender.phase = 'waiting'
      sender.lastArrivalMs = clock.nowMs()
      session.join(this.bundle, this.ticket(), this)
    } catch (error) {
      logger.debug({ peer: sender.peer, error }, 'a possible holder could not be joined')
      sender.rest(clock.nowMs(), random)
    }
  }

  /** Shows a newer ticket to a holder that says ours has expired. */
  #rejoin(sender: Sender, code: RefusalCode, id?: number): boolean {
    const nowMs = this.#with.clock.nowMs()
    if (code !== 'EXPIRED' || !sender.session) return false
    // Requests that crossed the new ticket.
    if (sender.phase === 'waiting' && id !== undefined) return true
    if (nowMs - sender.rejoinedAtMs < rejoinMs) return false
    sender.rejoinedAtMs = nowMs
    sender.phase = 'waiting'
    sender.session.join(this.bundle, this.ticket(), this)
    return true
  }

  /** Lets a sender go for a while; what it was asked for is free for others. */
  #rest(sender: Sender, atLeastMs = 0): void {
    const { session } = sender
    sender.settleAll()
    sender.rest(this.#with.clock.nowMs(), this.#with.random, atLeastMs)
    this.#picker?.removePeer(sender.peer)
    session?.leave(this.bundle)
  }

  #blame(peer: PeerId, kind: MisbehaviourKind, facts: Partial<Misbehaviour>): void {
    const { book, clock, logger, onMisbehaviour } = this.#with
    const what: Misbehaviour = { ...facts, peer, bundle: this.bundle, kind }
    logger.warn(what, 'a peer misbehaved in a swarm')
    book.note(peer, this.bundle, clock.nowMs())
    const sender = this.#senders.get(peer)
    if (sender) this.#rest(sender)
    this.#pumpSoon()
    onMisbehaviour(what)
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
      if (!signal.aborted) this.#tick(clock.nowMs())
    }
  }

  #tick(nowMs: number): void {
    for (const sender of this.#senders.values()) {
      const silent = sender.phase === 'waiting' && nowMs - sender.lastArrivalMs > 3 * stallMinMs
      if (!silent && !sender.stalled(nowMs)) continue
      this.#with.stats.stalls += 1
      this.#rest(sender, sender.stallRestMs())
    }
    this.#dialMore(nowMs)
    this.#pump(nowMs)
  }
}
