/**
 * The rooms of all bundles that somebody has joined here or that are on their way here. A room is
 * there as long as one of the two is: what is known of a swarm must not be lost between them.
 */
import type { Bitfield, Run } from '../bundle/index.ts'
import type { StoredBundle } from '../chunk-store/index.ts'
import type { Clock } from '../clock.ts'
import type { BundleId, PeerId } from '../ids.ts'
import type { Audience, Guest } from './guest.ts'
import type { PeerExchangeComponents } from './peer-exchange.ts'
import { Room } from './room.ts'
import type { SeedShare } from './schedule/index.ts'
import type { TurnRank } from './upload-queue.ts'

export type AudiencesComponents = PeerExchangeComponents &
  Readonly<{
    clock: Clock
    /** Which of the seeds we are; undefined: none. */
    seed: () => SeedShare | undefined
    uploadBytesPerS: () => number | undefined
  }>

type Open = { readonly room: Room; isKept: boolean }

/** The audiences of all bundles. */
export class Audiences implements Audience {
  readonly #with: AudiencesComponents
  readonly #rooms = new Map<BundleId, Open>()

  constructor(components: AudiencesComponents) {
    this.#with = components
  }

  /** Whether a peer, as far as we know, holds a chunk. */
  holds(peer: PeerId, bundle: BundleId, chunk: number): boolean {
    return this.#rooms.get(bundle)?.room.maps.holds(peer, chunk) ?? false
  }

  /** Whose turn it is, by what the rooms know. */
  rank(): TurnRank<{ readonly peer: PeerId }> {
    const { clock } = this.#with
    return {
      turnOf: ({ peer }, bundle, soonest) =>
        this.#rooms.get(bundle)?.room.rank.turnOf(peer, clock.nowMs(), soonest) ?? 0,
      uploadBytesPerS: ({ peer }, bundle) =>
        this.#rooms.get(bundle)?.room.rank.uploadBytesPerS(peer) ?? 0,
      // Of a swarm that is not known nothing is rare.
      holdersOf: (bundle, chunk) => this.#rooms.get(bundle)?.room.rank.holdersOf(chunk) ?? 1,
    }
  }

  /** The room of a bundle on its way here, until {@link close}. */
  open(stored: StoredBundle): Room {
    const open = this.#open(stored)
    open.isKept = true
    return open.room
  }

  close(bundle: BundleId): void {
    const open = this.#rooms.get(bundle)
    if (!open) return
    open.isKept = false
    open.room.asks = () => false
    this.#dropEmpty(bundle, open)
  }

  isRationed(stored: StoredBundle): boolean {
    return this.#open(stored).room.isRationed
  }

  entered(guest: Guest, held: Bitfield | undefined): void {
    if (guest.stored) this.#open(guest.stored).room.enter(guest, held, this.#with.clock.nowMs())
  }

  gained(guest: Guest, run: Run): void {
    this.#roomOf(guest)?.gained(guest, run, this.#with.clock.nowMs())
  }

  left(guest: Guest): void {
    const open = this.#rooms.get(guest.bundle)
    if (!open) return
    open.room.leave(guest, this.#with.clock.nowMs())
    this.#dropEmpty(guest.bundle, open)
  }

  requested(guest: Guest, run: Run): void {
    this.#roomOf(guest)?.requested(guest, run)
  }

  sending(guest: Guest, chunk: number): void {
    this.#roomOf(guest)?.sending(guest, chunk, this.#with.clock.nowMs())
  }

  sent(guest: Guest, chunk: number): void {
    this.#roomOf(guest)?.sent(guest, chunk, this.#with.clock.nowMs())
  }

  /** Call a few times a second. */
  tick(): void {
    const nowMs = this.#with.clock.nowMs()
    for (const { room } of this.#rooms.values()) room.tick(nowMs)
  }

  #roomOf({ bundle }: Guest): Room | undefined {
    return this.#rooms.get(bundle)?.room
  }

  #open(stored: StoredBundle): Open {
    let open = this.#rooms.get(stored.id)
    // Another object: the store had dropped the bundle and has it again, perhaps in part.
    if (!open || open.room.stored !== stored) {
      open = { room: new Room({ ...this.#with, stored, seed: this.#with.seed() }), isKept: false }
      this.#rooms.set(stored.id, open)
    }
    return open
  }

  #dropEmpty(bundle: BundleId, { room, isKept }: Open): void {
    if (!isKept && room.isEmpty) this.#rooms.delete(bundle)
  }
}
