/** Who wants to hear of something, told synchronously. */

export interface Listeners<T> {
  /** Returns the way to stop it. One function that listens twice is told twice. */
  listen(listener: (what: T) => void): () => void
  tell(what: T): void
  clear(): void
}

/** Nobody listens at first. */
export function createListeners<T>(): Listeners<T> {
  const all = new Set<(what: T) => void>()
  return {
    listen(listener) {
      const own = (what: T): void => listener(what)
      all.add(own)
      return () => {
        all.delete(own)
      }
    },
    tell(what) {
      for (const listener of all) {
        try {
          listener(what)
        } catch (error) {
          // A listener that throws is a bug of its own: it must surface, but not fail the write.
          queueMicrotask(() => {
            throw error
          })
        }
      }
    },
    clear: () => all.clear(),
  }
}
