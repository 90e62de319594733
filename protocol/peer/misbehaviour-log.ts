/**
 * What the swarm says of others, kept for the next beat. Bounded: a liar must not make its victim
 * send more than one message has room for.
 */
import type { Misbehaviour as Reported } from '../control/index.ts'
import type { Misbehaviour } from '../swarm/index.ts'

/** As a beat allows. */
const keptMax = 64
const detailMax = 512

export interface MisbehaviourLog {
  /** For `createSwarm`'s `onMisbehaviour`. */
  note(what: Misbehaviour): void
  /** What was noted since it was last taken; for a beat. */
  take(): Reported[]
}

/** An empty log. */
export function createMisbehaviourLog(): MisbehaviourLog {
  let kept: Reported[] = []
  return {
    note(what) {
      if (kept.length >= keptMax) return
      kept.push({ ...what, ...(what.detail && { detail: what.detail.slice(0, detailMax) }) })
    },
    take() {
      const taken = kept
      kept = []
      return taken
    },
  }
}
