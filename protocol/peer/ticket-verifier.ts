/**
 * Whether a ticket that a peer shows is the coordinator's, for that peer and bundle, and good now.
 * In the swarm's words, so that a refusal on the wire says why.
 */
import type { CoordinatorTime } from '../control/index.ts'
import { errorCode, PotluckError } from '../errors.ts'
import { judgeTicket, type TermKeeper, ticketCodec } from '../orders/index.ts'
import type { RefusalCode, VerifyTicket } from '../swarm/index.ts'

const refusals: Readonly<Record<string, RefusalCode>> = {
  WRONG_AUDIENCE: 'WRONG_PEER',
  WRONG_BUNDLE: 'WRONG_BUNDLE',
  EXPIRED: 'EXPIRED',
  STALE_TERM: 'EXPIRED',
}

/** Refuses all (`BUSY`) while the coordinator's time is not known; then nothing may be served. */
export function createTicketVerifier(
  components: Readonly<{ keeper: TermKeeper; time: CoordinatorTime }>,
): VerifyTicket {
  const { keeper, time } = components
  return (signed, peer, bundle) => {
    const nowMs = time.nowMs()
    if (nowMs === undefined) {
      throw new PotluckError(
        'BUSY',
        "tickets cannot be judged before the coordinator's time is known",
      )
    }
    try {
      const ticket = keeper.open('ticket', signed, ticketCodec)
      judgeTicket(ticket, { peer, bundle, nowMs })
      return { expiresMs: ticket.expiresMs }
    } catch (cause) {
      const refusal = refusals[errorCode(cause) ?? ''] ?? 'NO_TICKET'
      throw new PotluckError(refusal, `peer ${peer} shows no good ticket for ${bundle}`, { cause })
    }
  }
}
