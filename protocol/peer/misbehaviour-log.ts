/**
 * What the swarm says of others, kept for the next beat. Bounded: a liar must not make its victim
 * send more than one message has room for.
 */
import type { Misbehaviour as Reported } from '../control/index.ts'
import type { Misbehaviour } from '../swarm/index.ts'

/** As a beat allows. */
const keptMax = 64

export interface MisbehaviourLog {
  /** For `createSwarm`'s `onMisbehaviour`. What names no bundle is no evidence, and is left out. */
  note(what: Misbehaviour): void
  /** What was noted since it was last taken; for a beat. */
  take(): Reported[]
}

export function createMisbehaviourLog(): MisbehaviourLog {
  let kept: Reported[] = []
  return {
    note({ peer, bundle, kind, chunk, gotName }) {
      if (bundle === undefined || kept.length >= keptMax) return
      kept.push({
        ...{ peer, bundle },
        kind: kind === 'wrong-descriptor' ? 'malformed' : kind,
        ...(chunk !== undefined && { chunk }),
        ...(gotName !== undefined && { got: gotName }),
      })
    },
    take() {
      const taken = kept
      kept = []
      return taken
    },
  }
}
