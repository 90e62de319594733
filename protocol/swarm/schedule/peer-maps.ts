/**
 * What the peers of one swarm hold, as they say themselves: as holders and as requesters alike.
 * Without it a holder cannot tell which chunk is rare, which home is nearly done and which has no
 * time to lose, nor a seed what has spread already. State only: no I/O, no timers.
 */
import assert from 'node:assert/strict'
import { Bitfield, type ReadonlyBitfield, type Run } from '../../bundle/index.ts'

/** What a peer says of its link, in bytes a second; absent: it does not know. */
export type LinkRates = Readonly<{ uploadBytesPerS?: number; downloadBytesPerS?: number }>

/** The rate at which a peer gains is that of so long; longer hides a change, shorter is noise. */
const gainSpanMs = 10_000

export type PeerMapsInit = Readonly<{
  chunkCount: number
  /** A chunk's bytes as they travel. */
  bytesOf: (chunk: number) => number
}>

type Peer = {
  held: Bitfield
  heldBytes: number
  link: LinkRates
  /** Bytes gained, weighted by e^(−age/span). */
  gainedBytes: number
  gainedAtMs: number
  sinceMs: number
}

/** Peers are named by any string, chunks by numbers from 0 below `chunkCount`. */
export class PeerMaps {
  readonly chunkCount: number
  readonly totalBytes: number
  readonly #bytes: Float64Array
  readonly #peers = new Map<string, Peer>()
  readonly #holderCounts: Uint16Array

  constructor({ chunkCount, bytesOf }: PeerMapsInit) {
    this.chunkCount = chunkCount
    this.#bytes = Float64Array.from({ length: chunkCount }, (_, chunk) => bytesOf(chunk))
    this.totalBytes = this.#bytes.reduce((total, bytes) => total + bytes, 0)
    this.#holderCounts = new Uint16Array(chunkCount)
  }

  get peers(): Iterable<string> {
    return this.#peers.keys()
  }

  get count(): number {
    return this.#peers.size
  }

  has(peer: string): boolean {
    return this.#peers.has(peer)
  }

  /** A peer, with what it has; replaces what was known of its chunks. */
  set(peer: string, held: ReadonlyBitfield, nowMs: number): void {
    assert.equal(held.size, this.chunkCount)
    const known = this.#peers.get(peer)
    if (known) this.#uncount(known)
    const copy = Bitfield.fromBytes(held.size, held.toBytes())
    let heldBytes = 0
    for (const { start, count } of copy.runs()) {
      for (let chunk = start; chunk < start + count; chunk++) {
        this.#holderCounts[chunk] = this.holdersOf(chunk) + 1
        heldBytes += this.bytesOf(chunk)
      }
    }
    const fresh = { gainedBytes: 0, gainedAtMs: nowMs, sinceMs: nowMs, link: {} }
    this.#peers.set(peer, { ...(known ?? fresh), held: copy, heldBytes })
  }

  /** What a peer says of its link. A peer that is not known is not remembered. */
  link(peer: string, link: LinkRates): void {
    const known = this.#peers.get(peer)
    if (known) known.link = link
  }

  linkOf(peer: string): LinkRates {
    return this.#peers.get(peer)?.link ?? {}
  }

  /** A peer has more. Returns whether any of it was news. */
  gained(peer: string, { start, count }: Run, nowMs: number): boolean {
    const known = this.#peers.get(peer)
    if (!known) return false
    let bytes = 0
    for (let chunk = start; chunk < start + count; chunk++) {
      if (!known.held.set(chunk)) continue
      this.#holderCounts[chunk] = this.holdersOf(chunk) + 1
      bytes += this.bytesOf(chunk)
    }
    if (bytes === 0) return false
    known.heldBytes += bytes
    const ageMs = Math.max(0, nowMs - known.gainedAtMs)
    known.gainedBytes = known.gainedBytes * Math.exp(-ageMs / gainSpanMs) + bytes
    known.gainedAtMs = nowMs
    return true
  }

  /** A peer turned out not to have a chunk. */
  lost(peer: string, chunk: number): void {
    const known = this.#peers.get(peer)
    if (!known?.held.set(chunk, false)) return
    known.heldBytes -= this.bytesOf(chunk)
    this.#holderCounts[chunk] = this.holdersOf(chunk) - 1
  }

  remove(peer: string): void {
    const known = this.#peers.get(peer)
    if (!known) return
    this.#uncount(known)
    this.#peers.delete(peer)
  }

  /** How many of these peers have `chunk`; we ourselves are not among them. */
  holdersOf(chunk: number): number {
    return this.#holderCounts[chunk] ?? 0
  }

  heldBy(peer: string): ReadonlyBitfield | undefined {
    return this.#peers.get(peer)?.held
  }

  holds(peer: string, chunk: number): boolean {
    return this.#peers.get(peer)?.held.has(chunk) ?? false
  }

  bytesOf(chunk: number): number {
    return this.#bytes[chunk] ?? 0
  }

  /** Bytes that a peer lacks; all of them when it is not known. */
  remainingBytes(peer: string): number {
    return this.totalBytes - (this.#peers.get(peer)?.heldBytes ?? 0)
  }

  /** Bytes a second that a peer gained over the last seconds, from whomever. */
  gainBytesPerS(peer: string, nowMs: number): number {
    const known = this.#peers.get(peer)
    if (!known) return 0
    const decayed = known.gainedBytes * Math.exp((known.gainedAtMs - nowMs) / gainSpanMs)
    // Of a young peer only a part of the span has been seen.
    const seen = 1 - Math.exp((known.sinceMs - nowMs) / gainSpanMs)
    return seen > 0.05 ? (decayed * 1000) / (gainSpanMs * seen) : 0
  }

  #uncount({ held }: Peer): void {
    for (const { start, count } of held.runs()) {
      for (let chunk = start; chunk < start + count; chunk++) {
        this.#holderCounts[chunk] = this.holdersOf(chunk) - 1
      }
    }
  }
}
