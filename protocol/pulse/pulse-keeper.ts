/**
 * The newest pulse that a peer knows, verified, in memory, never gone back on. Without the last, a
 * hoarded pulse of before an outage would be taken for news of after it.
 */
import type { Term } from '../ids.ts'
import { type Pulse, pulseCodec, type TermKeeper } from '../orders/index.ts'
import type { Signed } from '../wire/index.ts'

export type HeldPulse = Readonly<{ pulse: Pulse; signed: Signed }>

export interface PulseKeeper {
  readonly newest: HeldPulse | undefined
  /**
   * True when it is newer than what is held.
   * @throws {BadSignatureError} @throws {MalformedMessageError}
   * @throws {OrderRefusedError} STALE_TERM, UNKNOWN_TERM, WRONG_NETWORK
   */
  take(signed: Signed): boolean
}

/** Knows none at first. */
export function createPulseKeeper({ keeper }: { readonly keeper: TermKeeper }): PulseKeeper {
  let held: HeldPulse | undefined
  return {
    get newest() {
      return held
    },
    take(signed) {
      const pulse = keeper.open('pulse', signed, pulseCodec)
      if (held && comparePulse(pulse, held.pulse) <= 0) return false
      held = { pulse, signed }
      return true
    },
  }
}

/** By (term, number), as epochs are. */
function comparePulse(a: { term: Term; number: number }, b: { term: Term; number: number }) {
  return a.term - b.term || a.number - b.number
}
