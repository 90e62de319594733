/**
 * One bundle's swarm as this node knows it: what everybody holds, who has joined here, whose turn
 * it is, and (in a seed) what is shown to whom. Both halves of a node look at the same room: what
 * a home says when it asks is what the other half must know to choose whom to serve.
 */
import { Bitfield, type Run } from '../bundle/index.ts'
import type { StoredBundle } from '../chunk-store/index.ts'
import type { PeerId } from '../ids.ts'
import type { Guest } from './guest.ts'
import { PeerExchange, type PeerExchangeComponents } from './peer-exchange.ts'
import {
  neighboursMaxFor,
  PeerMaps,
  SeedPlan,
  type SeedShare,
  UploadRank,
} from './schedule/index.ts'

export type RoomComponents = PeerExchangeComponents &
  Readonly<{
    stored: StoredBundle
    /** Shows chunks by plan, as one of so many seeds; absent: a home, which shows all it has. */
    seed?: SeedShare | undefined
    /** Our own uplink; undefined: not known. */
    uploadBytesPerS: () => number | undefined
  }>

/** The swarm of one bundle. */
export class Room {
  readonly maps: PeerMaps
  readonly rank: UploadRank
  readonly #with: RoomComponents
  readonly #plan: SeedPlan | undefined
  readonly #exchange: PeerExchange
  readonly #guests = new Map<PeerId, Set<Guest>>()
  /** Whether the download of this bundle asks a peer; its map is kept then. */
  asks: (peer: PeerId) => boolean = () => false
  /** Hears for the download what a peer that it asks told us as a guest. */
  onGained: ((peer: PeerId, run: Run) => void) | undefined

  constructor(components: RoomComponents) {
    const { stored, seed, uploadBytesPerS } = components
    const { chunkCount } = stored.layout
    this.#with = components
    this.maps = new PeerMaps({
      chunkCount,
      bytesOf: (chunk) => stored.layout.locate(chunk).travelBytes,
    })
    // A cache with room for all sees the whole swarm; who has all the neighbours it may have does not.
    const seenWholeMax = neighboursMaxFor(uploadBytesPerS()) - 4
    this.rank = new UploadRank({ maps: this.maps, seenWholeMax })
    // A seed that lacks some of it is no seed of it: it shows what it has, as homes do.
    if (seed && stored.complete) {
      this.#plan = new SeedPlan({ maps: this.maps, share: seed, uploadBytesPerS })
    }
    this.#exchange = new PeerExchange(components)
  }

  get stored(): StoredBundle {
    return this.#with.stored
  }

  get isRationed(): boolean {
    return this.#plan !== undefined
  }

  get isEmpty(): boolean {
    return this.#guests.size === 0
  }

  /** Whether a peer has joined here, and so hears what we have. */
  includes(peer: PeerId): boolean {
    return this.#guests.has(peer)
  }

  /** What a peer that joined here has not been told yet, for a message that goes to it anyway. */
  takeNewsFor(peer: PeerId): number[] | undefined {
    for (const guest of this.#guests.get(peer) ?? []) return guest.takeNews()
    return undefined
  }

  /** Messages to a peer that news rode on may not have come. */
  retell(peer: PeerId): void {
    for (const guest of this.#guests.get(peer) ?? []) guest.retell()
  }

  enter(guest: Guest, held: Bitfield | undefined, nowMs: number): void {
    const { peer } = guest
    this.#learn(peer, held, nowMs)
    this.maps.link(peer, guest.link)
    const guests = this.#guests.get(peer) ?? new Set()
    guests.add(guest)
    this.#guests.set(peer, guests)
    this.#exchange.enter(guest, nowMs)
    // It was just told that we hold nothing: what it was shown before is shown again.
    this.#plan?.left(peer)
    this.#plan?.joined(peer)
    this.#reveal(nowMs)
  }

  gained({ peer }: Guest, run: Run, nowMs: number): void {
    if (this.onGained && this.asks(peer)) this.onGained(peer, run)
    else this.maps.gained(peer, run, nowMs)
    this.#plan?.gained(peer, run)
    this.#reveal(nowMs)
  }

  leave(guest: Guest, nowMs: number): void {
    const { peer } = guest
    const guests = this.#guests.get(peer)
    this.#exchange.leave(guest)
    guests?.delete(guest)
    if (!guests || guests.size > 0) return
    this.#guests.delete(peer)
    if (!this.asks(peer)) this.maps.remove(peer)
    this.rank.forget(peer)
    this.#plan?.left(peer)
    this.#reveal(nowMs)
  }

  requested({ peer }: Guest, { start, count }: Run): void {
    for (let chunk = start; chunk < start + count; chunk++) this.#plan?.requested(peer, chunk)
  }

  sending({ peer }: Guest, chunk: number, nowMs: number): void {
    this.#plan?.sent(peer, chunk)
    this.#reveal(nowMs)
  }

  /** The stream took it: it comes, or the stream breaks. */
  sent({ peer }: Guest, chunk: number, nowMs: number): void {
    this.maps.gained(peer, { start: chunk, count: 1 }, nowMs)
  }

  /** Call a few times a second. */
  tick(nowMs: number): void {
    this.#exchange.tick(nowMs)
    this.#reveal(nowMs)
  }

  #learn(peer: PeerId, held: Bitfield | undefined, nowMs: number): void {
    if (!this.maps.has(peer)) {
      this.maps.set(peer, held ?? new Bitfield(this.stored.layout.chunkCount), nowMs)
      return
    }
    // It has told us more as a holder, or less: what it said in either place is true.
    for (const run of held?.runs() ?? []) this.maps.gained(peer, run, nowMs)
  }

  #reveal(nowMs: number): void {
    for (const { peer, chunks } of this.#plan?.reveal(nowMs) ?? []) {
      const shown = chunks === 'all' ? everyOf(this.stored) : chunks
      for (const guest of this.#guests.get(peer as PeerId) ?? []) guest.reveal(shown)
    }
  }
}

function* everyOf({ held }: StoredBundle): Generator<number, void> {
  for (const { start, count } of held.runs()) {
    for (let chunk = start; chunk < start + count; chunk++) yield chunk
  }
}
