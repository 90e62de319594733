/**
 * Whose node this is. The chef's claim code is presented until the coordinator has said yes, or no
 * for good; what it says is logged and shown among the metrics. The code itself is never logged.
 */
import type { Clock } from '../../protocol/clock.ts'
import type { ClaimAnswer, UpMessage, Welcome } from '../../protocol/control/index.ts'
import type { Logger } from '../../protocol/log/index.ts'

export interface Ownership {
  /** Name of the chef; undefined: nobody's, or not told yet. */
  readonly chef: string | undefined
  /** A stream is open. Returns what is to be said on it. */
  onUp(welcome: Pick<Welcome, 'chef'>): UpMessage | undefined
  onAnswer(answer: ClaimAnswer): void
  /** The claim again, where an earlier one could not be decided a while ago. */
  again(): UpMessage | undefined
}

/** Another try may go otherwise; the coordinator lets a household guess 10 times in 10 minutes. */
const retryMs = 60_000
/** It will say the same each time: until the chef acts there is nothing to ask. */
const final = new Set(['CLAIM_CODE_INVALID', 'NODE_CLAIMED'])

/** @param claim the code that the chef was given, if any */
export function createOwnership(
  claim: string | undefined,
  { clock, logger }: Readonly<{ clock: Clock; logger: Logger }>,
): Ownership {
  let chef: string | undefined
  let open = claim !== undefined
  let askedMs: number | undefined

  const learn = (name: string | undefined): void => {
    if (name === chef) return
    chef = name
    if (name === undefined) logger.info({}, 'this node belongs to no chef any more')
    else logger.info({ chef: name }, 'this node belongs to a chef')
  }
  const ask = (): UpMessage | undefined => {
    if (!open || claim === undefined) return undefined
    askedMs = clock.nowMs()
    return { type: 'claim', code: claim }
  }
  return {
    get chef() {
      return chef
    },
    onUp(welcome) {
      learn(welcome.chef)
      return ask()
    },
    onAnswer({ chef: name, refusal }) {
      if (name !== undefined) {
        open = false
        learn(name)
      } else if (refusal) {
        if (final.has(refusal.code)) open = false
        logger.warn({ refusal, again: open }, 'this node could not be claimed')
      }
    },
    again() {
      const isDue = askedMs !== undefined && clock.nowMs() - askedMs >= retryMs
      return isDue ? ask() : undefined
    },
  }
}
