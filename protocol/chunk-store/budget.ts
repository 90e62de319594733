/**
 * The bytes of disk a store may use. Room is reserved before a write and taken as it is made, so
 * that writes side by side cannot pass the budget together; only when it is short is anything
 * evicted, by one caller at a time.
 */
import { BudgetExceededError } from './errors.ts'

export interface Budget {
  readonly budgetBytes: number
  readonly usedBytes: number
  /** Takes effect with the next write; see `trim` for what is there. */
  setBudget(budgetBytes: number): void
  /** Books bytes that came or went. */
  add(changeBytes: number): void
  /**
   * Keeps `bytes` free until `release`. @param exclusive runs eviction under the lock that guards
   * the store's structure; the identity where the caller has the lock.
   * @throws {BudgetExceededError} evicting all that may go would not be enough; nothing is evicted.
   */
  reserve(bytes: number, exclusive: <T>(work: () => Promise<T>) => Promise<T>): Promise<void>
  release(bytes: number): void
  /**
   * Whether so many bytes could ever be written, evicting all that may go.
   * @throws {BudgetExceededError} nothing is evicted
   */
  refuse(bytes: number): void
  /** Evicts until the budget is kept, or nothing is left that may go. Under the store's lock. */
  trim(): Promise<void>
}

export type BudgetComponents = Readonly<{
  /** How many bytes could be freed at most. */
  evictableBytes(): number
  /** Evicts the least recently used thing that may go. Returns false where there is none. */
  evictOne(): Promise<boolean>
}>

/** Counts bytes against `budgetBytes`, evicting to make room. */
export function createBudget(
  init: { readonly budgetBytes: number },
  { evictableBytes, evictOne }: BudgetComponents,
): Budget {
  let { budgetBytes } = init
  let usedBytes = 0
  let reservedBytes = 0
  const lacking = (bytes: number): number => usedBytes + reservedBytes + bytes - budgetBytes

  const exceeded = (bytes: number): BudgetExceededError =>
    new BudgetExceededError(bytes, usedBytes + reservedBytes, budgetBytes)
  const refuse = (bytes: number): void => {
    if (lacking(bytes) > evictableBytes()) throw exceeded(bytes)
  }
  const makeRoom = async (bytes: number): Promise<void> => {
    while (lacking(bytes) > 0) {
      refuse(bytes)
      if (!(await evictOne())) throw exceeded(bytes)
    }
    reservedBytes += bytes
  }
  return {
    get budgetBytes() {
      return budgetBytes
    },
    get usedBytes() {
      return usedBytes
    },
    setBudget(bytes) {
      budgetBytes = bytes
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
    refuse(bytes) {
      if (lacking(bytes) > 0) refuse(bytes)
    },
    async trim() {
      while (lacking(0) > 0) if (!(await evictOne())) return
    },
  }
}
