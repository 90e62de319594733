/** Chance that can be had again: a failed run prints its seed, and the seed gives the same draws. */

export interface Random {
  readonly seed: number
  /** A whole number from `min` to `max`, both included. */
  between(min: number, max: number): number
  chance(probability: number): boolean
  /** One of `items`, which must not be empty. */
  pick<T>(items: readonly T[]): T
}

/** Mulberry32 (Tommy Ettinger, 2017): small, and good enough to pick victims. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const between: Random['between'] = (min, max) => min + Math.floor(next() * (max - min + 1))
  return {
    seed,
    between,
    chance: (probability) => next() < probability,
    pick<T>(items: readonly T[]): T {
      if (items.length === 0) throw new RangeError('nothing to pick from')
      return items[between(0, items.length - 1)] as T
    },
  }
}

/** `CHAOS_SEED` repeats a run; else every run is another. */
export function seedOfRun(): number {
  const given = Number(process.env.CHAOS_SEED)
  return Number.isInteger(given) && given > 0 ? given : 1 + Math.floor(Math.random() * 999_999)
}
