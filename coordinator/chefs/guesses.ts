/**
 * How often wrong claim codes came from one household lately. A peer id costs nothing, an address
 * does; with 100 random bits a guess never hits, so this is about load and noise in the log.
 */
import { LRUCache } from 'lru-cache'

const wrongMax = 10
const windowMs = 600_000
/** Households remembered; the one longest quiet goes first. */
const householdsMax = 10_000

export interface Guesses {
  /** Milliseconds until this household may try again; 0: now. */
  waitMs(household: string): number
  wrong(household: string): void
}

export function createGuesses({ nowMs }: { readonly nowMs: () => number }): Guesses {
  const all = new LRUCache<string, readonly number[]>({ max: householdsMax })
  const recent = (household: string): readonly number[] =>
    (all.get(household) ?? []).filter((atMs) => nowMs() - atMs < windowMs)
  return {
    waitMs(household) {
      const times = recent(household)
      const [oldest = 0] = times
      return times.length < wrongMax ? 0 : oldest + windowMs - nowMs()
    },
    wrong(household) {
      all.set(household, [...recent(household), nowMs()].slice(-wrongMax))
    },
  }
}
