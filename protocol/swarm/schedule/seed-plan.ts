/**
 * What a seed tells its swarm that it has. A seed that shows everything at once is asked for the
 * same chunks again and again before the last has left it once (150 to 200% of the image, BEP 16);
 * so it shows each chunk to one home first, in the order of layers, and all to all once every
 * chunk is out. Homes get shares by their uplinks: who can pass on more is given more (swarm.md
 * 2.3). Nothing waits until a chunk was seen elsewhere: the uplink never idles.
 *
 * Several seeds split the chunks by their place among the seeds; what another seed leaves undone
 * for long, or what a home that left had taken with it, is handed out all the same. What homes
 * hold when they join counts as handed out: a copy that has spread already is gone on from.
 */
import type { Run } from '../../bundle/index.ts'
import type { PeerMaps } from './peer-maps.ts'

/** Shown and not yet sent, to all homes: what the uplink sends in a while, and a few chunks. */
const aheadChunksMin = 8
const aheadShareMax = 3 / 4
const aheadMs = 600
/** What a home may have been shown and not sent at least; else, what its downlink takes in `aheadMs`. */
const shownChunksMin = 2
/** The first pass is over when no more are to be sent: the uplink must not idle meanwhile. */
const lastUnsentMax = 10
/** A home that does not ask for what it was shown is taken to have stalled. */
const stalledMs = 5_000
/** The weight of a home whose uplink is not known, in bytes a second: 10 Mbit/s. */
const uploadDefault = 1_250_000
/** Another seed's chunks are handed out here when it lags by such a part of all. */
const lagShare = 1 / 8
const lagChunksMin = 128

export type SeedShare = Readonly<{ index: number; of: number }>

export type SeedPlanInit = Readonly<{
  maps: PeerMaps
  /** Which of the seeds this one is, by an order that all of them know. */
  share?: SeedShare
  /** The seed's own uplink; undefined: not known. */
  uploadBytesPerS: () => number | undefined
}>

/** Chunks that one home is to be told of; `all`: everything, from now on. */
export type Reveal = Readonly<{ peer: string; chunks: readonly number[] | 'all' }>

type Home = {
  /** Shown, not sent yet: since when, and whether it has asked. */
  shown: Map<number, { sinceMs: number; asked: boolean }>
  shownBytes: number
  givenBytes: number
  toldAll: boolean
  /** It did not ask for what it was shown; it is shown no more until it does. */
  stalled: boolean
}

/** The plan of one seed for one swarm. Peers are those of `maps`. */
export class SeedPlan {
  readonly #with: SeedPlanInit
  readonly #homes = new Map<string, Home>()
  /** Who has been shown a chunk first; that home may have it by now, or be about to. */
  readonly #takers = new Map<number, string>()
  /** Chunks before these are out: own share, others' shares. */
  #ownFrom = 0
  #otherFrom = 0
  #done = false
  #lookedAtMs = Number.NEGATIVE_INFINITY

  constructor(init: SeedPlanInit) {
    this.#with = init
  }

  /** Every chunk is out: all is shown to all. */
  get firstPassDone(): boolean {
    return this.#done
  }

  /** A home is there; `maps` knows what it has. Again: nothing changes. */
  joined(peer: string): void {
    if (this.#homes.has(peer)) return
    // It starts level with the least served, or it would be given all that comes.
    let leastShare = Number.POSITIVE_INFINITY
    for (const [other, { givenBytes }] of this.#homes) {
      leastShare = Math.min(leastShare, givenBytes / this.#weight(other))
    }
    const givenBytes = Number.isFinite(leastShare) ? leastShare * this.#weight(peer) : 0
    this.#homes.set(peer, {
      shown: new Map(),
      shownBytes: 0,
      givenBytes,
      toldAll: false,
      stalled: false,
    })
  }

  /** A home is gone; what only it was given is handed out again. Call after `maps.remove`. */
  left(peer: string): void {
    if (!this.#homes.delete(peer)) return
    for (const [chunk, taker] of this.#takers) if (taker === peer) this.#takeBack(chunk)
  }

  /** A home asks for a chunk. */
  requested(peer: string, chunk: number): void {
    const home = this.#homes.get(peer)
    const shown = home?.shown.get(chunk)
    if (!home || !shown) return
    shown.asked = true
    home.stalled = false
  }

  /** A chunk is being sent to a home. */
  sent(peer: string, chunk: number): void {
    const home = this.#homes.get(peer)
    if (home?.shown.delete(chunk)) home.shownBytes -= this.#with.maps.bytesOf(chunk)
  }

  /**
   * A home has told of chunks that it holds. One that had them before it came (blobs of an older
   * version of the image) never asks for them: it is not stalled, and was given nothing.
   */
  gained(peer: string, { start, count }: Run): void {
    const home = this.#homes.get(peer)
    if (!home || home.shown.size === 0) return
    for (let chunk = start; chunk < start + count; chunk++) {
      if (!home.shown.delete(chunk)) continue
      const bytes = this.#with.maps.bytesOf(chunk)
      home.shownBytes -= bytes
      home.givenBytes = Math.max(0, home.givenBytes - bytes)
      home.stalled = false
    }
  }

  /**
   * What to tell whom now. Call when a home joined, gained or left, when a chunk was sent, and a
   * few times a second.
   */
  reveal(nowMs: number): Reveal[] {
    if (!this.#done) {
      this.#takeFromStalled(nowMs)
      const told = this.#handOut(nowMs)
      if (told.length > 0 || !this.#done) return told
    }
    const told: Reveal[] = []
    for (const [peer, home] of this.#homes) {
      if (home.toldAll) continue
      home.toldAll = true
      told.push({ peer, chunks: 'all' })
    }
    return told
  }

  #handOut(nowMs: number): Reveal[] {
    const told = new Map<string, number[]>()
    for (;;) {
      const chunk = this.#nextChunk()
      if (chunk === undefined) {
        // Shown to all any sooner, what is still to be sent first would wait behind second copies.
        let unsent = 0
        for (const home of this.#homes.values()) if (!home.stalled) unsent += home.shown.size
        this.#done = this.#homes.size > 0 && unsent <= lastUnsentMax
        if (this.#done) this.#takers.clear()
        break
      }
      const peer = this.#neediest(chunk)
      if (peer === undefined) break
      this.#show(peer, chunk, nowMs)
      const chunks = told.get(peer) ?? []
      chunks.push(chunk)
      told.set(peer, chunks)
    }
    return [...told].map(([peer, chunks]) => ({ peer, chunks }))
  }

  #show(peer: string, chunk: number, nowMs: number): void {
    const home = this.#homes.get(peer)
    if (!home) return
    const bytes = this.#with.maps.bytesOf(chunk)
    home.shown.set(chunk, { sinceMs: nowMs, asked: false })
    home.shownBytes += bytes
    home.givenBytes += bytes
    this.#takers.set(chunk, peer)
  }

  /** The next chunk in the order of layers that nobody has, of our share unless others lag. */
  #nextChunk(): number | undefined {
    const { maps, share = { index: 0, of: 1 } } = this.#with
    const { chunkCount } = maps
    const ours = (chunk: number): boolean => chunk % share.of === share.index
    while (this.#ownFrom < chunkCount && !(ours(this.#ownFrom) && this.#isIn(this.#ownFrom))) {
      this.#ownFrom += 1
    }
    while (
      this.#otherFrom < chunkCount &&
      (ours(this.#otherFrom) || !this.#isIn(this.#otherFrom))
    ) {
      this.#otherFrom += 1
    }
    const lag = Math.max(lagChunksMin, chunkCount * lagShare)
    const [own, other] = [this.#ownFrom, this.#otherFrom]
    if (own === chunkCount && other === chunkCount) return undefined
    return own < chunkCount && own - other < lag ? own : Math.min(other, chunkCount - 1)
  }

  /** Nobody has it, and nobody is about to. */
  #isIn(chunk: number): boolean {
    return !this.#takers.has(chunk) && this.#with.maps.holdersOf(chunk) === 0
  }

  /** The home with the least for its uplink, of those that have too little to ask for. */
  #neediest(chunk: number): string | undefined {
    const { maps, uploadBytesPerS } = this.#with
    const bytes = maps.bytesOf(chunk)
    // Bounded for all together: with room for each of its own, not who has the least would be
    // shown the next chunk, but whoever was just sent one.
    const sentSoonBytes = ((uploadBytesPerS() ?? 0) * aheadMs) / 1000
    const aheadBytes = Math.max(aheadChunksMin * bytes, sentSoonBytes)
    let shownBytes = 0
    for (const home of this.#homes.values()) if (!home.stalled) shownBytes += home.shownBytes
    if (shownBytes + bytes > aheadBytes) return undefined
    let neediest: string | undefined
    let least = Number.POSITIVE_INFINITY
    for (const [peer, home] of this.#homes) {
      const weight = this.#weight(peer)
      if (home.stalled || home.shown.has(chunk)) continue
      // One that asks for nothing, or whose downlink is full, is not to take up all there is.
      const roomBytes = Math.min(aheadBytes * aheadShareMax, this.#takesBytes(peer, bytes))
      if (home.shownBytes + bytes > roomBytes) continue
      const share = home.givenBytes / weight
      if (share < least) [least, neediest] = [share, peer]
    }
    return neediest
  }

  /** What is shown to a home waits for its downlink, and is shown to nobody else meanwhile. */
  #takesBytes(peer: string, chunkBytes: number): number {
    const { downloadBytesPerS } = this.#with.maps.linkOf(peer)
    if (!downloadBytesPerS) return Number.POSITIVE_INFINITY
    return Math.max(shownChunksMin * chunkBytes, (downloadBytesPerS * aheadMs) / 1000)
  }

  #weight(peer: string): number {
    return this.#with.maps.linkOf(peer).uploadBytesPerS ?? uploadDefault
  }

  #takeFromStalled(nowMs: number): void {
    // A look at all that is shown, each few chunks sent, would be most of a fast seed's work.
    if (nowMs - this.#lookedAtMs < stalledMs / 8) return
    this.#lookedAtMs = nowMs
    for (const [peer, home] of this.#homes) {
      for (const [chunk, { sinceMs, asked }] of home.shown) {
        if (asked || nowMs - sinceMs < stalledMs || this.#takers.get(chunk) !== peer) continue
        home.stalled = true
        this.#takeBack(chunk)
      }
    }
  }

  #takeBack(chunk: number): void {
    this.#takers.delete(chunk)
    this.#ownFrom = Math.min(this.#ownFrom, chunk)
    this.#otherFrom = Math.min(this.#otherFrom, chunk)
  }
}
