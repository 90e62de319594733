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
import { Bitfield, type ReadonlyBitfield, type Run } from '../bundle/index.ts'
import { PeerMaps } from './schedule/index.ts'

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
  /** What peers hold, where others want to know it too; the picker keeps it current. */
  maps?: PeerMaps
}>

/** What a choice must keep to. */
export type ChoiceLimits = Readonly<{
  freeBytes: number
  /** Chunks in a run. */
  runMax: number
  /** Only chunks that no more peers than these have: of a slow sender only what must be. */
  holdersMax?: number
}>

export type Choice = Run & Readonly<{ bytes: number }>

type Holder = {
  /** Nothing was left to ask of it, and nothing has changed since. */
  dry: boolean
}

/** Peers are named by any string. Chunks are numbers from 0 below `chunkCount`. */
export class Picker {
  readonly #init: PickerInit
  readonly #windowChunks: number
  readonly #mine: Bitfield
  readonly #holders = new Map<string, Holder>()
  readonly #maps: PeerMaps
  /** Held or reserved: not to be chosen. */
  readonly #taken: Bitfield
  readonly #reserved = new Map<number, string>()
  /** The same by who is asked, in the order of asking. */
  readonly #askedOf = new Map<string, Set<number>>()
  /** Asked for out of turn: somebody waits to read it. */
  readonly #preferred = new Set<number>()

  constructor(init: PickerInit) {
    this.#init = init
    this.#windowChunks = init.windowChunks ?? windowChunksDefault
    this.#mine = Bitfield.fromBytes(init.chunkCount, init.held.toBytes())
    this.#taken = Bitfield.fromBytes(init.chunkCount, init.held.toBytes())
    this.#maps = init.maps ?? new PeerMaps(init)
  }

  get complete(): boolean {
    return this.#mine.full
  }

  /**
   * Where the first window ends, when all in it is held or asked for: what is asked for next lies
   * beyond it. Undefined while there is something to ask for in it.
   */
  get windowTakenTo(): number | undefined {
    const oldest = this.#mine.firstMissing()
    const end = Math.min(this.#init.chunkCount, oldest + this.#windowChunks)
    return this.#taken.firstMissing(oldest) >= end ? end : undefined
  }

  /** Chunks that are neither held nor asked of anybody. */
  get unreserved(): number {
    return this.#mine.size - this.#mine.count - this.#reserved.size
  }

  /** Who is asked for `chunk` now. */
  reservedBy(chunk: number): string | undefined {
    return this.#reserved.get(chunk)
  }

  /** Those who are asked for anything now. */
  get owners(): Iterable<string> {
    return this.#askedOf.keys()
  }

  /** How many senders have `chunk`. */
  holdersOf(chunk: number): number {
    return this.#maps.holdersOf(chunk)
  }

  peerHolds(peer: string, chunk: number): boolean {
    return this.#maps.holds(peer, chunk)
  }

  /** Nothing was left to ask of a sender, and nothing has changed since. */
  isDry(peer: string): boolean {
    return this.#holders.get(peer)?.dry ?? true
  }

  /** A sender, with what it has; replaces what was known of it. Reservations stay. */
  setPeer(peer: string, held: ReadonlyBitfield, nowMs = 0): void {
    this.#maps.set(peer, held, nowMs)
    this.#holders.set(peer, { dry: false })
  }

  /**
   * Forgets a sender and frees what was reserved with it. Returns those chunks.
   * @param keepMap it still asks of us: what it holds is worth knowing
   */
  removePeer(peer: string, keepMap = false): number[] {
    this.#holders.delete(peer)
    if (!keepMap) this.#maps.remove(peer)
    return this.releaseAll(peer)
  }

  peerGained(peer: string, run: Run, nowMs = 0): void {
    if (!this.#maps.gained(peer, run, nowMs)) return
    const holder = this.#holders.get(peer)
    if (!holder?.dry) return
    // What is held or asked for already gives no reason to look again.
    for (let chunk = run.start; chunk < run.start + run.count; chunk++) {
      if (!this.#taken.has(chunk)) holder.dry = false
    }
  }

  peerLost(peer: string, chunk: number): void {
    this.#maps.lost(peer, chunk)
  }

  /** We hold it now, whoever it came from. Returns who had been asked for it. */
  gained(chunk: number): string | undefined {
    this.#mine.set(chunk)
    this.#taken.set(chunk)
    this.#preferred.delete(chunk)
    return this.#unreserve(chunk)
  }

  /** We hold it no longer. */
  lost(chunk: number): void {
    this.#mine.set(chunk, false)
    if (!this.#reserved.has(chunk)) this.#free(chunk)
  }

  /** Frees a reservation, if it is still with this sender. */
  release(chunk: number, peer: string): boolean {
    if (this.#reserved.get(chunk) !== peer) return false
    this.#unreserve(chunk)
    this.#free(chunk)
    return true
  }

  /** Frees all that is reserved with a sender. Returns those chunks. */
  releaseAll(peer: string): number[] {
    const freed = [...(this.#askedOf.get(peer) ?? [])]
    for (const chunk of freed) {
      this.#unreserve(chunk)
      this.#free(chunk)
    }
    return freed
  }

  /** Asks for `chunk` before others, wherever the window is. */
  prefer(chunk: number): void {
    if (!this.#mine.has(chunk)) this.#preferred.add(chunk)
    for (const holder of this.#holders.values()) holder.dry = false
  }

  /**
   * Chooses and reserves a run of chunks for a sender, or undefined when it has nothing that is
   * wanted. The first chunk may go over `freeBytes`; a run is lengthened within it only.
   */
  choose(peer: string, limits: ChoiceLimits): Choice | undefined {
    const { freeBytes, runMax, holdersMax = Number.POSITIVE_INFINITY } = limits
    const holder = this.#holders.get(peer)
    const held = this.#maps.heldBy(peer)
    if (!holder || !held || holder.dry || freeBytes <= 0) return undefined
    const best = this.#bestOf(held, holdersMax)
    if (best === undefined) {
      // With a limit there may be something, only not now.
      holder.dry = holdersMax === Number.POSITIVE_INFINITY
      return undefined
    }
    const first = this.#startOfRun(held, best, Math.floor(runMax))
    let bytes = 0
    let count = 0
    for (let chunk = first; count < runMax && chunk < this.#init.chunkCount; chunk++) {
      const size = this.#init.bytesOf(chunk)
      if (count > 0 && (bytes + size > freeBytes || !this.#wanted(held, chunk))) break
      if (count > 0 && this.holdersOf(chunk) > this.holdersOf(first)) break
      this.#reserve(chunk, peer)
      bytes += size
      count++
    }
    return { start: first, count, bytes } satisfies Choice
  }

  /**
   * A chunk that is asked of `owner` and that `peer` has too; the one asked last, as the first may
   * be on its way by now. It stays reserved as it is: the caller has it let go, then releases it.
   */
  lastAskedOf(
    owner: string,
    peer: string,
    mayMove: (chunk: number) => boolean = () => true,
  ): number | undefined {
    const held = this.#holders.has(peer) ? this.#maps.heldBy(peer) : undefined
    let last: number | undefined
    if (!held) return undefined
    for (const chunk of this.#askedOf.get(owner) ?? []) {
      if (held.has(chunk) && mayMove(chunk)) last = chunk
    }
    return last
  }

  /** Reserves one free chunk for a sender that has it. */
  reserve(chunk: number, peer: string): boolean {
    const held = this.#maps.heldBy(peer)
    if (!held || !this.#holders.has(peer) || !this.#wanted(held, chunk)) return false
    this.#reserve(chunk, peer)
    return true
  }

  #wanted(theirs: ReadonlyBitfield, chunk: number): boolean {
    return theirs.has(chunk) && !this.#taken.has(chunk)
  }

  #reserve(chunk: number, peer: string): void {
    const asked = this.#askedOf.get(peer)
    if (asked) asked.add(chunk)
    else this.#askedOf.set(peer, new Set([chunk]))
    this.#reserved.set(chunk, peer)
    this.#taken.set(chunk)
  }

  /** Returns who had been asked. */
  #unreserve(chunk: number): string | undefined {
    const owner = this.#reserved.get(chunk)
    if (owner === undefined) return undefined
    this.#reserved.delete(chunk)
    const asked = this.#askedOf.get(owner)
    asked?.delete(chunk)
    if (asked?.size === 0) this.#askedOf.delete(owner)
    return owner
  }

  /** A chunk is wanted again: those who have it may be asked again. */
  #free(chunk: number): void {
    if (this.#mine.has(chunk)) return
    this.#taken.set(chunk, false)
    for (const [peer, holder] of this.#holders) {
      if (holder.dry && this.#maps.holds(peer, chunk)) holder.dry = false
    }
  }

  #bestOf(theirs: ReadonlyBitfield, holdersMax: number): number | undefined {
    for (const chunk of this.#preferred) if (this.#wanted(theirs, chunk)) return chunk
    const { chunkCount } = this.#init
    const width = this.#windowChunks
    const oldest = this.#mine.firstMissing()
    for (let from = theirs.firstNotIn(this.#taken, oldest); from < chunkCount; ) {
      // The window that it is in: they follow one another from the oldest missing chunk on.
      const to = Math.min(chunkCount, from + width - ((from - oldest) % width))
      const best = this.#rarest(theirs, from, to, holdersMax)
      if (best !== undefined) return best
      from = theirs.firstNotIn(this.#taken, to)
    }
    return undefined
  }

  /** Runs begin at multiples of their length: begun anywhere, they would leave gaps of a chunk. */
  #startOfRun(theirs: ReadonlyBitfield, best: number, runMax: number): number {
    const least = runMax > 1 ? best - (best % runMax) : best
    const holders = this.holdersOf(best)
    let first = best
    while (first > least && this.#wanted(theirs, first - 1)) {
      if (this.holdersOf(first - 1) > holders) break
      first--
    }
    return first
  }

  #rarest(theirs: ReadonlyBitfield, from: number, to: number, holdersMax: number) {
    let best: number | undefined
    let bestCount = holdersMax
    let ties = 0
    let chunk = from
    for (; chunk < to; chunk = theirs.firstNotIn(this.#taken, chunk + 1)) {
      const count = this.holdersOf(chunk)
      if (count > bestCount) continue
      ties = count < bestCount ? 1 : ties + 1
      // Reservoir sampling: each of the equally rare is kept with the same chance.
      if (ties === 1 || this.#init.random() * ties < 1) best = chunk
      bestCount = count
    }
    return best
  }
}
