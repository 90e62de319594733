/**
 * Who has joined what here, over all sessions: named to one another, and (in a seed) shown one
 * another's chunks only as fast as the plan says. The two halves of a node meet here: what a home
 * says when it asks is what the other half must know to choose whom to serve.
 */
import type { Bitfield, Run } from '../bundle/index.ts'
import type { StoredBundle } from '../chunk-store/index.ts'
import type { Clock } from '../clock.ts'
import type { BundleId, PeerId } from '../ids.ts'
import type { Audience, Guest } from './guest.ts'
import { PeerExchange, type PeerExchangeComponents } from './peer-exchange.ts'

export type AudiencesComponents = PeerExchangeComponents & Readonly<{ clock: Clock }>

/** The audiences of all bundles. */
export class Audiences implements Audience {
  readonly #with: AudiencesComponents
  readonly #exchanges = new Map<BundleId, PeerExchange>()

  constructor(components: AudiencesComponents) {
    this.#with = components
  }

  /** Whether a peer asks us for this bundle, and so hears what we have of it. */
  includes(peer: PeerId, bundle: BundleId): boolean {
    return this.#exchanges.get(bundle)?.has(peer) ?? false
  }

  isRationed(_bundle: StoredBundle): boolean {
    return false
  }

  entered(guest: Guest, _held: Bitfield | undefined): void {
    let exchange = this.#exchanges.get(guest.bundle)
    if (!exchange) {
      exchange = new PeerExchange(this.#with)
      this.#exchanges.set(guest.bundle, exchange)
    }
    exchange.enter(guest, this.#with.clock.nowMs())
  }

  gained(_guest: Guest, _run: Run): void {}

  left(guest: Guest): void {
    const exchange = this.#exchanges.get(guest.bundle)
    exchange?.leave(guest)
    if (exchange?.size === 0) this.#exchanges.delete(guest.bundle)
  }

  requested(_guest: Guest, _run: Run): void {}

  sending(_guest: Guest, _chunk: number): void {}

  /** Call a few times a second. */
  tick(): void {
    const nowMs = this.#with.clock.nowMs()
    for (const exchange of this.#exchanges.values()) exchange.tick(nowMs)
  }
}
