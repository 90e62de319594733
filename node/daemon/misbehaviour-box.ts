/** Evidence that waits for the next beat; bounded, the newest is dropped when it is full. */
import type { Misbehaviour } from '../../protocol/control/index.ts'
import type { Misbehaviour as Seen } from '../../protocol/swarm/index.ts'

const waitingMax = 64

export interface MisbehaviourBox {
  add(seen: Seen): void
  /** Empties the box. */
  take(): Misbehaviour[]
}

export function createMisbehaviourBox(): MisbehaviourBox {
  let waiting: Misbehaviour[] = []
  return {
    add(seen) {
      if (waiting.length >= waitingMax) return
      waiting.push({ ...seen, ...(seen.detail && { detail: seen.detail.slice(0, 512) }) })
    },
    take() {
      const taken = waiting
      waiting = []
      return taken
    },
  }
}
