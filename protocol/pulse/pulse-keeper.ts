/**
 * The newest pulse that a peer knows, verified, in memory, never gone back on. Without the last, a
 * hoarded pulse of before an outage would be taken for news of after it.
 */
import type { Term } from '../ids.ts'
import type { Logger } from '../log/index.ts'
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
  /**
   * Keeps what the coordinator told on its own stream, each as newer than the last. It is looked at
   * when somebody asks for the newest: a signature a beat is more than an idle home should check.
   */
  hear(signed: Signed): void
}

/** Knows none at first. */
export function createPulseKeeper({
  keeper,
  logger,
}: Readonly<{ keeper: TermKeeper; logger: Logger }>): PulseKeeper {
  let held: HeldPulse | undefined
  let heard: Signed | undefined
  const pulses: PulseKeeper = {
    get newest() {
      const unseen = heard
      heard = undefined
      try {
        if (unseen) pulses.take(unseen)
      } catch (error) {
        logger.error({ error }, 'the coordinator sent a pulse that cannot be taken')
      }
      return held
    },
    hear(signed) {
      heard = signed
    },
    take(signed) {
      const pulse = keeper.open('pulse', signed, pulseCodec)
      if (held && comparePulse(pulse, held.pulse) <= 0) return false
      held = { pulse, signed }
      return true
    },
  }
  return pulses
}

/** By (term, number), as epochs are. */
function comparePulse(a: { term: Term; number: number }, b: { term: Term; number: number }) {
  return a.term - b.term || a.number - b.number
}
