/**
 * One bundle that a peer has joined on its stream to us: what it is told, what it says it has. It
 * outlives the wait for the descriptor, before which none of the numbers mean anything.
 */
import { Bitfield, type Run } from '../bundle/index.ts'
import type { StoredBundle } from '../chunk-store/index.ts'
import type { BundleId, PeerId } from '../ids.ts'
import type { PeerAddress } from '../mesh/index.ts'
import { ProtocolBreachError } from './errors.ts'
import type { HaveTeller } from './have-teller.ts'
import { type Answer, decodeRuns, type LinkRates, linkRatesOf } from './wire.ts'

/** Those that joined a bundle, as the rest of the swarm sees them. */
export interface Audience {
  /** Whether a peer is told only what {@link Guest.reveal} names, not all that is held. */
  isRationed(bundle: StoredBundle): boolean
  /** A guest is here, and so is the descriptor; again after it joined again. */
  entered(guest: Guest, held: Bitfield | undefined): void
  gained(guest: Guest, run: Run): void
  left(guest: Guest): void
  /** It wants a chunk. */
  requested(guest: Guest, run: Run): void
  /** A chunk starts on its way to it. */
  sending(guest: Guest, chunk: number): void
  /** The stream took it. */
  sent(guest: Guest, chunk: number): void
}

/** A `join` as it came. */
export type Joining = Readonly<{ number: number; held?: Uint8Array } & LinkRates>

export type GuestComponents = Readonly<{
  audience: Audience
  /** Tells the peer what is new. */
  teller: HaveTeller
  /** What we say of our own link. */
  linkRates: () => LinkRates
  answer: (answer: Answer) => void
}>

/** One joined bundle of one session. */
export class Guest {
  readonly peer: PeerId
  readonly bundle: BundleId
  readonly #with: GuestComponents
  #joining: Joining | undefined
  #stored: StoredBundle | undefined
  #unsubscribe: () => void = () => undefined
  number = 0
  link: LinkRates = {}

  constructor(peer: PeerId, bundle: BundleId, components: GuestComponents) {
    this.peer = peer
    this.bundle = bundle
    this.#with = components
  }

  get stored(): StoredBundle | undefined {
    return this.#stored
  }

  /** It asks to join, for the first time or again. */
  join(joining: Joining): void {
    this.#joining = joining
    this.number = joining.number
    this.link = linkRatesOf(joining)
  }

  /**
   * Says what is here, now and from now on.
   * @throws {ProtocolBreachError} the have-map that it sent is none of this bundle.
   */
  greet(stored: StoredBundle): void {
    const { audience, teller, linkRates, answer } = this.#with
    this.#unsubscribe()
    teller.clear()
    const held = this.#claimed(stored)
    this.#stored = stored
    const rationed = audience.isRationed(stored)
    const stop = rationed ? undefined : stored.onHeld((chunk) => teller.add(chunk))
    this.#unsubscribe = stop ?? (() => undefined)
    answer({
      t: 'joined',
      bundle: stored.id,
      descriptorBytes: stored.descriptorBytes.length,
      held: rationed ? new Bitfield(stored.layout.chunkCount).toBytes() : stored.held.toBytes(),
      ...linkRates(),
    })
    audience.entered(this, held)
  }

  /** It says that it has more. @throws {ProtocolBreachError} more than there is. */
  gained(runs: readonly number[]): void {
    // The store dropped the bundle meanwhile, or it speaks before it was answered.
    if (!this.#stored) return
    const decoded = decodeRuns(runs, this.#stored.layout.chunkCount)
    if (!decoded) throw new ProtocolBreachError('runs of a have that are not in the bundle')
    for (const run of decoded) this.#with.audience.gained(this, run)
  }

  /** What it has not been told yet, for a message that goes to it anyway. */
  takeNews(): number[] | undefined {
    return this.#with.teller.take()
  }

  /** A message that news rode on may not have come: tells of all again. */
  retell(): void {
    if (!this.#stored || this.#with.audience.isRationed(this.#stored)) return
    for (const { start, count } of this.#stored.held.runs()) {
      for (let chunk = start; chunk < start + count; chunk++) this.#with.teller.add(chunk)
    }
  }

  /** Tells it of chunks that it may ask for from now on. */
  reveal(chunks: Iterable<number>): void {
    for (const chunk of chunks) this.#with.teller.add(chunk)
  }

  /** Names others to it. */
  name(peers: PeerAddress[]): void {
    const named = peers.map(({ peer, addresses }) => ({ peer, addresses: [...addresses] }))
    this.#with.answer({ t: 'peers', bundle: this.bundle, peers: named })
  }

  leave(): void {
    this.#unsubscribe()
    this.#with.teller.stop()
    if (this.#stored) this.#with.audience.left(this)
    this.#stored = undefined
  }

  #claimed(stored: StoredBundle): Bitfield | undefined {
    const bytes = this.#joining?.held
    this.#joining = undefined
    if (!bytes) return undefined
    try {
      return Bitfield.fromBytes(stored.layout.chunkCount, bytes)
    } catch (cause) {
      throw new ProtocolBreachError('a have-map of another length than the bundle', { cause })
    }
  }
}
