/**
 * Whose turn it is at a holder: which homes of one swarm have no time to lose, and which are
 * nearly done. Equal treatment makes all homes finish together at the very end, so that a tenant's
 * first replica waits for the last; most-complete-first alone starves homes with slow downlinks,
 * which need nearly the whole time at their full rate. Everything here is learned from what peers
 * say of their links and of what they hold; nobody tells it the state of the whole swarm.
 *
 * Before all turns: who holds next to nothing. Its uplink idles until it has something to pass on.
 *
 * Where a holder sees the whole swarm, three classes, the first goes first:
 * - urgent: what it lacks takes its own downlink as long as the swarm will still run;
 * - slow: its downlink needs a fair part of the swarm's whole time; slowest first, so that it is
 *   not urgent later, when all are;
 * - fast: shortest remaining time first (Schrage, "A proof of the optimality of the SRPT
 *   discipline", Operations Research 1968), so that the first are done early.
 *
 * Where it sees a part, what a home lacks would make another favourite at each holder, and uplinks
 * of those who wait would have nothing that others lack (100 homes: last at 1.29 of the bound, not
 * 1.08). Downlinks are the same wherever one looks: slow ones go first, slowest first, then the
 * fastest. Homes with equal downlinks are equal there.
 */
import { neighboursMax } from './neighbours.ts'
import type { PeerMaps } from './peer-maps.ts'

/**
 * A home whose need is nearer than this to the swarm's end is urgent: estimates are no better. They
 * span the last ten seconds, which is most of a street's time and nothing of a big image's.
 */
const urgentShare = 0.97
const urgentMs = 8_000
/** A home whose downlink needs this part of the swarm's whole time is slow. */
const slowShare = 0.25
/** Where a part of the swarm is seen: this part of the time that is left by what is seen. */
const slowShareOfLeft = 0.5
/** A home with fewer chunks has hardly one that a neighbour lacks; fewest go first. */
const nextToNothing = 4
/** Ranks are looked at anew so often: a chunk changes little. */
const freshMs = 500
/** Homes whose times differ by less are equal, or noise would decide. Wide steps keep many half done. */
const stepShare = 0.01

export type UploadRankInit = Readonly<{
  maps: PeerMaps
  /** Caches count among peers: beyond so many, the swarm may be bigger than what is seen of it. */
  seenWholeMax?: number
  /** Off: all homes are equal (for the sweep). */
  favourites?: boolean
}>

/** Its place in its turn, and by when it is done alone. Smaller goes first. */
type Turns = Readonly<{ turn: number; soonest: number }>
type Pace = Readonly<{ atMs: number; leftMs: number; wholeMs: number }>

/** Ranks the homes of one swarm for one holder. */
export class UploadRank {
  readonly #maps: PeerMaps
  readonly #favourites: boolean
  readonly #seenWholeMax: number
  readonly #turns = new Map<string, Turns & { readonly atMs: number }>()
  #pace: Pace = { atMs: Number.NEGATIVE_INFINITY, leftMs: 0, wholeMs: 0 }

  constructor(init: UploadRankInit) {
    const { maps, favourites = true, seenWholeMax = neighboursMax - 4 } = init
    this.#maps = maps
    this.#seenWholeMax = seenWholeMax
    this.#favourites = favourites
  }

  /** How many others are known to hold a chunk; 0: nobody else can serve it. */
  holdersOf(chunk: number): number {
    return this.#maps.holdersOf(chunk)
  }

  /** What a home can send on, as it says; 0: it does not. */
  uploadBytesPerS(peer: string): number {
    return this.#maps.linkOf(peer).uploadBytesPerS ?? 0
  }

  /**
   * Smaller goes first; equal numbers are equal.
   * @param soonest by who is done soonest alone
   */
  turnOf(peer: string, nowMs: number, soonest = false): number {
    if (!this.#favourites) return 0
    const heldChunks = this.#maps.heldBy(peer)?.count ?? 0
    if (heldChunks < nextToNothing) return heldChunks - 1e6
    let turns = this.#turns.get(peer)
    if (!turns || nowMs - turns.atMs >= freshMs) {
      turns = { atMs: nowMs, ...this.#rank(peer, nowMs) }
      this.#turns.set(peer, turns)
    }
    return soonest ? turns.soonest : turns.turn
  }

  forget(peer: string): void {
    this.#turns.delete(peer)
  }

  #rank(peer: string, nowMs: number): Turns {
    const maps = this.#maps
    const { downloadBytesPerS } = maps.linkOf(peer)
    // Without a figure nothing can be said of its slack: behind those that are open about it.
    if (!downloadBytesPerS) return { turn: 3e6, soonest: Number.MAX_VALUE }
    // Who gains faster than it said it can is as fast as it gains: a false figure buys nothing.
    const bytesPerS = Math.max(downloadBytesPerS, 0.9 * maps.gainBytesPerS(peer, nowMs))
    const needMs = (maps.remainingBytes(peer) * 1000) / bytesPerS
    const allMs = (maps.totalBytes * 1000) / bytesPerS
    const { leftMs, wholeMs } = this.#paceAt(nowMs)
    if (maps.count > this.#seenWholeMax) {
      const slow = allMs >= slowShareOfLeft * leftMs
      return { turn: slow ? 1e6 - steps(allMs) : 2e6 + steps(allMs), soonest: steps(allMs) }
    }
    const turns = (turn: number): Turns => ({ turn, soonest: needMs })
    if (needMs + urgentMs >= urgentShare * leftMs) return turns(-steps(needMs))
    if (allMs >= slowShare * wholeMs) return turns(1e6 - steps(allMs))
    return turns(2e6 + steps(needMs))
  }

  /** When the swarm ends, and how long a whole image takes it, by those we know. */
  #paceAt(nowMs: number): Pace {
    if (nowMs - this.#pace.atMs < freshMs) return this.#pace
    const maps = this.#maps
    let remainingBytes = 0
    let gainBytesPerS = 0
    let homes = 0
    for (const peer of maps.peers) {
      remainingBytes += maps.remainingBytes(peer)
      gainBytesPerS += maps.gainBytesPerS(peer, nowMs)
      homes += 1
    }
    // Nothing has moved yet: there is all the time.
    const of = (bytes: number): number =>
      gainBytesPerS > 0 ? (bytes * 1000) / gainBytesPerS : Number.POSITIVE_INFINITY
    this.#pace = { atMs: nowMs, leftMs: of(remainingBytes), wholeMs: of(homes * maps.totalBytes) }
    return this.#pace
  }
}

/** A time on a scale of steps of a hundredth. */
function steps(ms: number): number {
  return Math.round(Math.log(Math.max(1, ms)) / Math.log(1 + stepShare))
}
