/**
 * Which chunk to ask of whom. State in, choice out: no I/O, no timers, randomness passed in, so
 * that a simulator runs the same lines.
 *
 * The receiver reserves: a chunk is asked of one sender at a time, which is what keeps a swarm free
 * of duplicates. Among the chunks a sender has, the rarest goes first, inside a window that starts
 * at the oldest missing chunk: without the window all layers finish together at the end, and none
 * can be unpacked while others arrive (swarm.md 2.3). Ties are drawn, or all homes would want the
 * same chunk of the seed.
 */
import assert from 'node:assert/strict'
import { Bitfield, type ReadonlyBitfield, type Run } from '../bundle/index.ts'

/** Narrower costs time in sparse swarms, wider makes layers finish late. */
const windowChunksDefault = 128

export type PickerInit = Readonly<{
  chunkCount: number
  /** What is held already; copied. */
  held: ReadonlyBitfield
  /** A chunk's bytes as they travel. */
  bytesOf: (chunk: number) => number
  /** Uniform in [0, 1). */
  random: () => number
  windowChunks?: number
}>

export type Choice = Run & Readonly<{ bytes: number }>

type Holder = {
  held: Bitfield
  /** Nothing was left to ask of it, and nothing has changed since. */
  dry: boolean
}

/** Peers are named by any string. Chunks are numbers from 0 below `chunkCount`. */
export class Picker {
  readonly #init: PickerInit
  readonly #windowChunks: number
  readonly #mine: Bitfield
  readonly #holders = new Map<string, Holder>()
  readonly #holderCounts: Uint16Array
  readonly #reserved = new Map<number, string>()
  /** Asked for out of turn: somebody waits to read it. */
  readonly #preferred = new Set<number>()

  constructor(init: PickerInit) {
    this.#init = init
    this.#windowChunks = init.windowChunks ?? windowChunksDefault
    this.#mine = Bitfield.fromBytes(init.chunkCount, init.held.toBytes())
    this.#holderCounts = new Uint16Array(init.chunkCount)
  }

  get complete(): boolean {
    return this.#mine.full
  }

  /** Chunks that are neither held nor asked of anybody. */
  get unreserved(): number {
    return this.#mine.size - this.#mine.count - this.#reserved.size
  }

  /** Who is asked for `chunk` now. */
  reservedBy(chunk: number): string | undefined {
    return this.#reserved.get(chunk)
  }

  /** How many senders have `chunk`. */
  holdersOf(chunk: number): number {
    return this.#holderCounts[chunk] ?? 0
  }

  peerHolds(peer: string, chunk: number): boolean {
    return this.#holders.get(peer)?.held.has(chunk) ?? false
  }

  /** A sender, with what it has; replaces what was known of it. Reservations stay. */
  setPeer(peer: string, held: ReadonlyBitfield): void {
    assert.equal(held.size, this.#init.chunkCount)
    this.#forget(peer)
    this.#holders.set(peer, { held: Bitfield.fromBytes(held.size, held.toBytes()), dry: false })
    for (const run of held.runs()) this.#count(run, 1)
  }

  /** Forgets a sender and frees what was reserved with it. Returns those chunks. */
  removePeer(peer: string): number[] {
    this.#forget(peer)
    this.#holders.delete(peer)
    return this.releaseAll(peer)
  }

  peerGained(peer: string, run: Run): void {
    const holder = this.#holders.get(peer)
    if (!holder) return
    holder.dry = false
    for (let chunk = run.start; chunk < run.start + run.count; chunk++) {
      if (!holder.held.set(chunk)) continue
      this.#count({ start: chunk, count: 1 }, 1)
    }
  }

  peerLost(peer: string, chunk: number): void {
    if (this.#holders.get(peer)?.held.set(chunk, false)) this.#count({ start: chunk, count: 1 }, -1)
  }

  /** We hold it now, whoever it came from. Returns who had been asked for it. */
  gained(chunk: number): string | undefined {
    this.#mine.set(chunk)
    this.#preferred.delete(chunk)
    const asked = this.#reserved.get(chunk)
    this.#reserved.delete(chunk)
    return asked
  }

  /** We hold it no longer. */
  lost(chunk: number): void {
    this.#mine.set(chunk, false)
    this.#wake()
  }

  /** Frees a reservation, if it is still with this sender. */
  release(chunk: number, peer: string): boolean {
    if (this.#reserved.get(chunk) !== peer) return false
    this.#reserved.delete(chunk)
    this.#wake()
    return true
  }

  /** Frees all that is reserved with a sender. Returns those chunks. */
  releaseAll(peer: string): number[] {
    const freed: number[] = []
    for (const [chunk, owner] of this.#reserved) if (owner === peer) freed.push(chunk)
    for (const chunk of freed) this.#reserved.delete(chunk)
    if (freed.length > 0) this.#wake()
    return freed
  }

  /** Asks for `chunk` before others, wherever the window is. */
  prefer(chunk: number): void {
    if (!this.#mine.has(chunk)) this.#preferred.add(chunk)
    this.#wake()
  }

  /**
   * Chooses and reserves a run of chunks for a sender, or undefined when it has nothing that is
   * wanted. The first chunk may go over `freeBytes`; a run is lengthened within it only.
   */
  choose(peer: string, { freeBytes, runMax }: { freeBytes: number; runMax: number }) {
    const holder = this.#holders.get(peer)
    if (!holder || holder.dry || freeBytes <= 0) return undefined
    const first = this.#bestOf(holder.held)
    if (first === undefined) {
      holder.dry = true
      return undefined
    }
    let bytes = 0
    let count = 0
    for (let chunk = first; count < runMax && chunk < this.#init.chunkCount; chunk++) {
      const size = this.#init.bytesOf(chunk)
      if (count > 0 && (bytes + size > freeBytes || !this.#wanted(holder.held, chunk))) break
      if (count > 0 && this.holdersOf(chunk) > this.holdersOf(first)) break
      this.#reserved.set(chunk, peer)
      bytes += size
      count++
    }
    return { start: first, count, bytes } satisfies Choice
  }

  /**
   * A chunk that is asked of someone else and that `peer` has too, the one whose sender keeps us
   * waiting longest. It stays reserved as it is: the caller cancels there, then releases it.
   */
  slowest(peer: string, waitMs: (owner: string) => number) {
    const holder = this.#holders.get(peer)
    let worst: { chunk: number; owner: string; waitMs: number } | undefined
    if (!holder) return undefined
    for (const [chunk, owner] of this.#reserved) {
      if (owner === peer || !holder.held.has(chunk)) continue
      const ms = waitMs(owner)
      if (!worst || ms > worst.waitMs) worst = { chunk, owner, waitMs: ms }
    }
    return worst
  }

  /** Reserves one free chunk for a sender that has it. */
  reserve(chunk: number, peer: string): boolean {
    const holder = this.#holders.get(peer)
    if (!holder || !this.#wanted(holder.held, chunk)) return false
    this.#reserved.set(chunk, peer)
    return true
  }

  #wanted(theirs: ReadonlyBitfield, chunk: number): boolean {
    return theirs.has(chunk) && !this.#mine.has(chunk) && !this.#reserved.has(chunk)
  }

  #bestOf(theirs: ReadonlyBitfield): number | undefined {
    for (const chunk of this.#preferred) if (this.#wanted(theirs, chunk)) return chunk
    const { chunkCount } = this.#init
    for (let from = this.#mine.firstMissing(); from < chunkCount; from += this.#windowChunks) {
      const best = this.#rarest(theirs, from, Math.min(chunkCount, from + this.#windowChunks))
      if (best !== undefined) return best
    }
    return undefined
  }

  #rarest(theirs: ReadonlyBitfield, from: number, to: number): number | undefined {
    let best: number | undefined
    let bestCount = Number.POSITIVE_INFINITY
    let ties = 0
    for (let chunk = from; chunk < to; chunk++) {
      const count = this.holdersOf(chunk)
      if (count > bestCount || !this.#wanted(theirs, chunk)) continue
      ties = count < bestCount ? 1 : ties + 1
      // Reservoir sampling: each of the equally rare is kept with the same chance.
      if (ties === 1 || this.#init.random() * ties < 1) best = chunk
      bestCount = count
    }
    return best
  }

  #wake(): void {
    for (const holder of this.#holders.values()) holder.dry = false
  }

  #forget(peer: string): void {
    const holder = this.#holders.get(peer)
    if (!holder) return
    for (const run of holder.held.runs()) this.#count(run, -1)
  }

  #count({ start, count }: Run, by: number): void {
    for (let chunk = start; chunk < start + count; chunk++) {
      this.#holderCounts[chunk] = (this.#holderCounts[chunk] ?? 0) + by
    }
  }
}
