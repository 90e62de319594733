/**
 * The bytes a store may use. Room is reserved before a write and taken when it is done, so that
 * writes side by side cannot pass the budget together; only when it is short is anything evicted,
 * by one caller at a time.
 */
import { BudgetExceededError } from './errors.ts'

export interface Budget {
  readonly budgetBytes: number
  readonly usedBytes: number
  /** Books bytes that came or went. */
  add(changeBytes: number): void
  /**
   * Keeps `bytes` free until `release`. @param exclusive runs eviction under the lock that guards
   * the store's structure; the identity where the caller has the lock.
   * @throws {BudgetExceededError} evicting all that may go would not be enough; nothing is evicted.
   */
  reserve(bytes: number, exclusive: <T>(work: () => Promise<T>) => Promise<T>): Promise<void>
  release(bytes: number): void
}

export type BudgetComponents = Readonly<{
  /** How many bytes could be freed at most. */
  evictableBytes(): number
  /** Evicts the least recently used thing that may go. Returns false where there is none. */
  evictOne(): Promise<boolean>
}>

/** Counts bytes against `budgetBytes`, evicting to make room. */
export function createBudget(
  { budgetBytes }: { readonly budgetBytes: number },
  { evictableBytes, evictOne }: BudgetComponents,
): Budget {
  let usedBytes = 0
  let reservedBytes = 0
  const lacking = (bytes: number): number => usedBytes + reservedBytes + bytes - budgetBytes

  const makeRoom = async (bytes: number): Promise<void> => {
    while (lacking(bytes) > 0) {
      const possible = lacking(bytes) <= evictableBytes()
      if (!possible || !(await evictOne())) {
        throw new BudgetExceededError(bytes, usedBytes + reservedBytes, budgetBytes)
      }
    }
    reservedBytes += bytes
  }
  return {
    budgetBytes,
    get usedBytes() {
      return usedBytes
    },
    add(changeBytes) {
      usedBytes += changeBytes
    },
    async reserve(bytes, exclusive) {
      if (lacking(bytes) > 0) await exclusive(() => makeRoom(bytes))
      else reservedBytes += bytes
    },
    release(bytes) {
      reservedBytes -= bytes
    },
  }
}
