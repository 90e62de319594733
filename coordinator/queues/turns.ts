/** Work on one thing, one after the other: what reads, decides and writes must see what is newest. */

/** Runs `work` after all that was asked before under `key`. */
export type Turns = <T>(key: string, work: () => Promise<T>) => Promise<T>

export function createTurns(): Turns {
  const tails = new Map<string, Promise<unknown>>()
  return async (key, work) => {
    const run = (tails.get(key) ?? Promise.resolve()).then(work)
    const tail = run.catch(() => {}) // Whoever asked is told; the next one in line goes on.
    tails.set(key, tail)
    try {
      return await run
    } finally {
      if (tails.get(key) === tail) tails.delete(key)
    }
  }
}
