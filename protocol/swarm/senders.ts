/**
 * The peers that one download may ask: dialled, joined, left alone for a while, joined again. It
 * knows nothing of chunks. Without it in one place, a peer that stalls, lies or leaves would be
 * handled in each of the places that notice.
 */
import type { Clock } from '../clock.ts'
import type { BundleId, PeerId } from '../ids.ts'
import type { Logger } from '../log/index.ts'
import type { PeerAddress } from '../mesh/index.ts'
import type { Signed } from '../wire/index.ts'
import type { PeerBook } from './peer-book.ts'
import { chooseNeighbours, neighboursMax, redrawMs } from './schedule/index.ts'
import { Sender, stallMinMs } from './sender.ts'
import type { SessionPool } from './session-pool.ts'

/** Peers that are remembered as possible senders. */
const knownPeersMax = 1024
/**
 * A handshake and what follows it costs both ends tens of ms of CPU, hundreds on a machine that is
 * busy. Dialled one after the other, caches first, the first neighbours are of use while the last
 * ones are still to come; and dialling takes no more than about a third of the time. It is the time
 * that this process was busy which counts, not how long the way to the other is. (A tenth of the time
 * was as good for eight homes, and for sixteen on two cores 1.152 of the bound instead of 1.144.)
 */
const dialGapFactor = 2
const dialGapMaxMs = 2_000
/** Of two that fetch the same bundle one dials; the other does so too if it has waited in vain. */
const courtesyMs = 2_000
/** A renewed ticket is shown at most so often to one peer. */
const rejoinMs = 5_000

/** A dial that takes longer is likely to be one to nobody. */
const slowDialMs = 1_000

/** Who of two dials: whoever was told of the other first, or either of those that both know. */
export type WhoDials = 'self' | 'either'

/** Gives the newest ticket; asked again when one has expired. */
export type TicketSource = () => Signed

export type SendersComponents = Readonly<{
  bundle: BundleId
  self: PeerId
  pool: SessionPool
  book: PeerBook
  clock: Clock
  /** For how long this process has had something to do. */
  busyMs: () => number
  random: () => number
  logger: Logger
  /** Aborts with the download: nobody is dialled any more. */
  ended: AbortSignal
  /** Shows the ticket to a sender, whose session is open. */
  join: (sender: Sender) => void
  /** A sender is let go: what was reserved with it is free. */
  onRest: (sender: Sender) => void
}>

/** Possible senders of one bundle, by peer. */
export class Senders {
  readonly #with: SendersComponents
  readonly #byPeer = new Map<PeerId, Sender>()
  /** Where there are more than can be asked: whom to ask now. */
  readonly #drawn = new Set<Sender>()
  #redrawAtMs = 0
  #dialAtMs = 0

  constructor(components: SendersComponents) {
    this.#with = components
  }

  get(peer: PeerId): Sender | undefined {
    return this.#byPeer.get(peer)
  }

  all(): Iterable<Sender> {
    return this.#byPeer.values()
  }

  /** Those that said what they have. */
  joined(): Sender[] {
    return [...this.#byPeer.values()].filter(({ phase }) => phase === 'joined')
  }

  /** More peers that may hold it. Known ones get more addresses. */
  add(hints: Iterable<PeerAddress>, { dial = 'either' }: { dial?: WhoDials } = {}): void {
    const { self, clock, pool } = this.#with
    for (const { peer, addresses } of hints) {
      const isFirst = this.#byPeer.size === 0
      const isNew = !this.#byPeer.has(peer)
      const sender = this.#know(peer)
      if (!sender) continue
      // Hints begin with caches, and those do not dial.
      const waits = dial === 'either' && !isFirst && peer < self && !pool.isConnected(peer)
      if (isNew && waits) sender.retryAtMs = clock.nowMs() + courtesyMs
      for (const address of addresses) sender.addresses.add(address)
    }
    this.dialMore()
  }

  /** A peer is there and soon has some of it. What it is avoided for stands: see the peer book. */
  heardOf(peer: PeerId): void {
    const sender = this.#know(peer)
    if (!sender) return
    sender.isHere = true
    sender.retryAtMs = 0
    this.dialMore()
  }

  /** Dials whom it may, up to as many as are asked at once. */
  dialMore(): void {
    const { book, bundle, clock, ended } = this.#with
    if (ended.aborted) return
    const nowMs = clock.nowMs()
    let mayDial = nowMs >= this.#dialAtMs
    for (const { phase, isHere, dialledAtMs } of this.#byPeer.values()) {
      // One that does not answer soon keeps no other from being dialled.
      const isUnderWay = phase === 'dialling' || phase === 'waiting'
      if (isUnderWay && !isHere && nowMs - dialledAtMs < slowDialMs) mayDial = false
    }
    for (const sender of this.#neighbours(nowMs)) {
      if (sender.phase !== 'resting' || nowMs < sender.retryAtMs) continue
      if (!sender.isHere && !mayDial) continue
      sender.retryAtMs = book.avoidUntilMs(sender.peer, bundle)
      if (nowMs < sender.retryAtMs) continue
      if (!sender.isHere) mayDial = false
      void this.#dial(sender)
    }
  }

  /** Shows a newer ticket to a sender that says ours has expired. False: it was just shown. */
  rejoin(sender: Sender): boolean {
    const nowMs = this.#with.clock.nowMs()
    if (!sender.session || nowMs - sender.rejoinedAtMs < rejoinMs) return false
    sender.rejoinedAtMs = nowMs
    sender.phase = 'waiting'
    this.#with.join(sender)
    return true
  }

  /** Lets a sender go for a while; what it was asked for is free for others. */
  rest(sender: Sender, atLeastMs = 0): void {
    const { bundle, clock, random, onRest } = this.#with
    const { session } = sender
    // Before it settles: what it owes is given back.
    onRest(sender)
    sender.settleAll()
    sender.rest(clock.nowMs(), random, atLeastMs)
    session?.leave(bundle)
  }

  /** Lets those go that have been silent for too long. Returns how many. */
  restStalled(): number {
    const nowMs = this.#with.clock.nowMs()
    let stalls = 0
    for (const sender of this.#byPeer.values()) {
      const silent = sender.phase === 'waiting' && nowMs - sender.lastArrivalMs > 3 * stallMinMs
      if (!silent && !sender.stalled(nowMs)) continue
      stalls += 1
      this.rest(sender, sender.stallRestMs())
    }
    return stalls
  }

  /** The download is over. */
  leaveAll(): void {
    for (const sender of this.#byPeer.values()) {
      const { session } = sender
      sender.part()
      sender.settleAll()
      session?.leave(this.#with.bundle)
    }
  }

  /** Who may be asked: all while they are few, else those that are drawn now and then. */
  #neighbours(nowMs: number): Iterable<Sender> {
    if (this.#byPeer.size <= neighboursMax) return this.#byPeer.values()
    if (nowMs >= this.#redrawAtMs) this.#redraw(nowMs)
    else this.#fill(nowMs)
    return this.#drawn
  }

  #redraw(nowMs: number): void {
    const usable = [...this.#byPeer.values()].filter((sender) => this.#isUsable(sender, nowMs))
    const known = usable.map((sender) => ({
      peer: sender.peer,
      joined: sender.phase !== 'resting',
      rttMs: sender.credit.roundTripMs(),
      deliveredBytes: sender.receivedBytes - sender.drawnBytes,
    }))
    const chosen = new Set<string>(chooseNeighbours({ known, random: this.#with.random }))
    this.#redrawAtMs = nowMs + redrawMs
    for (const sender of usable) {
      sender.drawnBytes = sender.receivedBytes
      if (chosen.has(sender.peer)) this.#drawn.add(sender)
      else if (this.#drawn.delete(sender)) this.rest(sender, redrawMs)
    }
    this.#fill(nowMs)
  }

  /** Others take the places of those that have left. */
  #fill(nowMs: number): void {
    for (const sender of this.#drawn) {
      if (!this.#isUsable(sender, nowMs)) this.#drawn.delete(sender)
    }
    for (const sender of this.#byPeer.values()) {
      if (this.#drawn.size >= neighboursMax) return
      if (this.#isUsable(sender, nowMs)) this.#drawn.add(sender)
    }
  }

  #isUsable({ phase, retryAtMs }: Sender, nowMs: number): boolean {
    return phase !== 'resting' || retryAtMs <= nowMs
  }

  #know(peer: PeerId): Sender | undefined {
    const known = this.#byPeer.get(peer)
    if (known) return known
    const { self, ended } = this.#with
    if (peer === self || ended.aborted || this.#byPeer.size >= knownPeersMax) return undefined
    const sender = new Sender(peer)
    this.#byPeer.set(peer, sender)
    return sender
  }

  async #dial(sender: Sender): Promise<void> {
    const { pool, logger, clock, busyMs, random, ended } = this.#with
    const beforeMs = busyMs()
    sender.phase = 'dialling'
    sender.dialledAtMs = clock.nowMs()
    try {
      const session = await pool.open({ peer: sender.peer, addresses: [...sender.addresses] })
      if (ended.aborted) return
      if (!sender.isHere) {
        const gapMs = dialGapFactor * (busyMs() - beforeMs)
        this.#dialAtMs = clock.nowMs() + Math.min(dialGapMaxMs, gapMs)
      }
      sender.session = session
      sender.phase = 'waiting'
      sender.lastArrivalMs = clock.nowMs()
      this.#with.join(sender)
    } catch (error) {
      logger.debug({ peer: sender.peer, error }, 'a possible holder could not be joined')
      sender.isHere = false
      sender.rest(clock.nowMs(), random)
    }
    this.dialMore()
  }
}
