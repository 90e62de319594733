/** What one download knows of one peer that may hold the bundle: its phase, credit and what it owes. */
import type { PeerId } from '../ids.ts'
import { type Credit, createCredit } from './credit.ts'
import type { HaveTeller } from './have-teller.ts'
import { ExchangeIntake } from './peer-exchange.ts'
import type { RequesterSession } from './requester.ts'
import type { LinkRates } from './wire.ts'

/** `resting`: not before `retryAtMs`. `waiting`: asked to join, no answer yet. */
export type SenderPhase = 'resting' | 'dialling' | 'waiting' | 'joined'

/** A chunk that was asked of this sender. */
export type Asked = Readonly<{ id: number; atMs: number; bytes: number; first: boolean }>

const retryMinMs = 250
const retryMaxMs = 15_000
/** Without any answer to a join; a holder may itself wait for the descriptor. */
export const stallMinMs = 10_000
/** A sender may take so many times what its own rate promises. */
const stallFactor = 4
/** After a stall a sender is left alone for a while, longer each time. */
const stallRestMs = 5_000

/** One holder as a download sees it: what it has, what was asked of it, how fast it is. */
export class Sender {
  readonly peer: PeerId
  readonly addresses = new Set<string>()
  readonly asked = new Map<number, Asked>()
  readonly credit: Credit = createCredit()
  phase: SenderPhase = 'resting'
  retryAtMs = 0
  /** It is connected: it asks us for the bundle. */
  isHere = false
  dialledAtMs = 0
  /** Of `receivedBytes`, those that had come when neighbours were last drawn. */
  drawnBytes = 0
  session: RequesterSession | undefined
  /** What it said in `joined`, kept until the descriptor tells what it means. */
  held: Uint8Array | undefined
  descriptorBytes = 0
  /** What it said of its link. */
  link: LinkRates = {}
  /** What we have was told when we joined. */
  introduced = false
  /** Tells it what we have, once it has told us. */
  teller: HaveTeller | undefined
  exchange = new ExchangeIntake()
  earlyHaves: (readonly number[])[] = []
  lastArrivalMs = 0
  rejoinedAtMs = Number.NEGATIVE_INFINITY
  /** Bytes of verified chunks. */
  receivedBytes = 0
  outstandingBytes = 0
  /** Chunks that came, right or wrong, and those that it refused though it had claimed them. */
  chunksCame = 0
  falseHaves = 0
  stalls = 0
  #failures = 0

  constructor(peer: PeerId) {
    this.peer = peer
  }

  ask(chunk: number, asked: Asked): void {
    this.asked.set(chunk, asked)
    this.outstandingBytes += asked.bytes
  }

  /** A chunk came or was given up. */
  settle(chunk: number): Asked | undefined {
    const asked = this.asked.get(chunk)
    if (!asked) return undefined
    this.asked.delete(chunk)
    this.outstandingBytes -= asked.bytes
    return asked
  }

  settleAll(): void {
    this.asked.clear()
    this.outstandingBytes = 0
  }

  /** It is not asked again before a while: longer with each failure in a row, jittered. */
  rest(nowMs: number, random: () => number, atLeastMs = 0): void {
    const backoffMs = Math.min(retryMaxMs, retryMinMs * 2 ** Math.min(this.#failures, 10))
    this.#failures += 1
    this.part()
    this.phase = 'resting'
    this.held = undefined
    this.earlyHaves = []
    this.retryAtMs = nowMs + Math.max(atLeastMs, backoffMs * (0.5 + random() / 2))
  }

  /** Its session is over, or left. */
  part(): void {
    this.session = undefined
    this.teller?.stop()
    this.teller = undefined
    this.exchange = new ExchangeIntake()
  }

  /**
   * How much may be asked of it at once, on what it has shown: what it sent rightly, and a chunk
   * more. A liar is found out before it has cost much more than it gave.
   */
  trustedBytes(chunkBytes: number): number {
    return this.receivedBytes + chunkBytes
  }

  /** It does what it should. */
  worked(nowMs: number): void {
    this.#failures = 0
    this.lastArrivalMs = nowMs
  }

  /** How long it will take until all that it was asked for is here, by its own rate. */
  waitMs(nowMs: number): number {
    const rate = this.credit.bytesPerS(nowMs)
    if (rate > 0) return (this.outstandingBytes * 1000) / rate
    const oldest = this.#oldestMs()
    return oldest === undefined ? 0 : 2 * (nowMs - oldest)
  }

  /** Nothing has come for longer than an honest sender of its rate could need. */
  stalled(nowMs: number): boolean {
    const oldest = this.#oldestMs()
    if (oldest === undefined) return false
    const silentMs = nowMs - Math.max(oldest, this.lastArrivalMs)
    if (silentMs < stallMinMs) return false
    const rate = this.credit.bytesPerS(nowMs)
    return rate === 0 || silentMs > (stallFactor * this.outstandingBytes * 1000) / rate
  }

  stallRestMs(): number {
    this.stalls += 1
    return stallRestMs * 2 ** Math.min(this.stalls, 6)
  }

  #oldestMs(): number | undefined {
    // A Map keeps the order of asking.
    for (const { atMs } of this.asked.values()) return atMs
    return undefined
  }
}
