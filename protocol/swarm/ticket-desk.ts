/**
 * Who may have what, in one session: a ticket is checked once for a bundle, its expiry at every
 * request. Without the second half a ticket of an hour would be good for as long as a connection
 * is kept open.
 */
import { errorCode } from '../errors.ts'
import type { BundleId, PeerId } from '../ids.ts'
import type { Signed } from '../wire/index.ts'
import { type RefusalCode, refusalCodes } from './wire.ts'

/** @throws {PotluckError} whose code is one of {@link refusalCodes}; any other counts as NO_TICKET. */
export type VerifyTicket = (
  ticket: Signed,
  peer: PeerId,
  bundle: BundleId,
) => { readonly expiresMs: number }

/** Bundles that one peer may have joined at once. */
export const joinedBundlesMax = 256

/** The tickets that one requester has shown on this connection. */
export class TicketDesk {
  readonly #peer: PeerId
  readonly #verify: VerifyTicket
  /** The coordinator's time; undefined while it is not known, and then nothing is served. */
  readonly #timeMs: () => number | undefined
  readonly #expiries = new Map<BundleId, number>()

  constructor(
    peer: PeerId,
    components: Readonly<{ verifyTicket: VerifyTicket; timeMs: () => number | undefined }>,
  ) {
    this.#peer = peer
    this.#verify = components.verifyTicket
    this.#timeMs = components.timeMs
  }

  /** Takes a ticket, the first or a newer one. Returns why not, or undefined. */
  present(bundle: BundleId, ticket: Signed): RefusalCode | undefined {
    if (!this.#expiries.has(bundle) && this.#expiries.size >= joinedBundlesMax) return 'BUSY'
    try {
      const { expiresMs } = this.#verify(ticket, this.#peer, bundle)
      // A peer that shows an older ticket after a newer one loses nothing.
      this.#expiries.set(bundle, Math.max(expiresMs, this.#expiries.get(bundle) ?? 0))
    } catch (error) {
      return refusalOf(error)
    }
    return this.check(bundle)
  }

  /** Why the peer may not have `bundle` now, or undefined when it may. */
  check(bundle: BundleId): RefusalCode | undefined {
    const expiresMs = this.#expiries.get(bundle)
    if (expiresMs === undefined) return 'NO_TICKET'
    const nowMs = this.#timeMs()
    if (nowMs === undefined) return 'BUSY'
    return nowMs < expiresMs ? undefined : 'EXPIRED'
  }

  leave(bundle: BundleId): void {
    this.#expiries.delete(bundle)
  }
}

function refusalOf(error: unknown): RefusalCode {
  const code = errorCode(error)
  const known = refusalCodes.find((refusal) => refusal === code)
  if (known) return known
  if (code === 'WRONG_AUDIENCE') return 'WRONG_PEER'
  return 'NO_TICKET'
}
