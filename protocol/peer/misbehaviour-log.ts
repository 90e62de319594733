/**
 * What the swarm says of others, kept until a beat with it was answered: a liar that also cuts our
 * line must not get rid of the evidence. Bounded: nor must it make its victim send more than one
 * message has room for.
 */
import type { Misbehaviour as Reported } from '../control/index.ts'
import type { Misbehaviour } from '../swarm/index.ts'

/** As a beat allows. */
const keptMax = 64
const detailMax = 512

export interface MisbehaviourLog {
  /** For `createSwarm`'s `onMisbehaviour`. */
  note(what: Misbehaviour): void
  /** What the coordinator may not have heard yet; for a beat. */
  take(): Reported[]
  /** The newest beat was answered: what was taken for it is known. */
  answered(): void
}

/** An empty log. */
export function createMisbehaviourLog(): MisbehaviourLog {
  let kept: Reported[] = []
  let taken = 0
  return {
    note(what) {
      if (kept.length >= keptMax) return
      kept.push({ ...what, ...(what.detail && { detail: what.detail.slice(0, detailMax) }) })
    },
    take() {
      taken = kept.length
      return [...kept]
    },
    answered() {
      kept = kept.slice(taken)
      taken = 0
    },
  }
}
