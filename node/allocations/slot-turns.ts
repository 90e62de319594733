/**
 * One thing at a time for each slot: an order must not overtake another of its slot, nor a
 * revocation an order. Slots do not wait for one another: one that is stuck blocks itself alone.
 */
import type { SlotId } from '../../protocol/ids.ts'

export interface SlotTurns {
  /** Does `work` when what came before it for this slot is over. */
  take<T>(slot: SlotId, work: () => Promise<T>): Promise<T>
  /** Resolves when all that was asked for this slot is over. */
  free(slot: SlotId): Promise<void>
  allFree(): Promise<void>
}

export function createSlotTurns(): SlotTurns {
  const last = new Map<SlotId, Promise<void>>()
  return {
    take(slot, work) {
      const done = (last.get(slot) ?? Promise.resolve()).then(work)
      const over = done.then(
        () => undefined,
        () => undefined, // told to whoever asked
      )
      const mine = over.then(() => {
        if (last.get(slot) === mine) last.delete(slot)
      })
      last.set(slot, mine)
      return done
    },
    async free(slot) {
      await last.get(slot)
    },
    async allFree() {
      await Promise.all(last.values())
    },
  }
}
