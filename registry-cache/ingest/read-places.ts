/**
 * Who may read from a registry now. Places are few, so that a cache's link and memory are not cut
 * into crumbs; they are shared by registry host, so that a tenant whose own registry drips cannot
 * hold them all and starve every other image.
 *
 * A host takes a place only while it has fewer than are free (12: 6 for the first, 3 for the next,
 * then 2, then 1), so there is room for a host that comes later without breaking off a read. Of
 * those that wait, the host with the fewest places is next.
 */
export type ReadPlacesInit = Readonly<{ placesMax: number }>

export interface ReadPlaces {
  /** Runs `work` once there is a place. @throws the signal's reason, while it waits. */
  run<T>(host: string, work: () => Promise<T>, signal: AbortSignal): Promise<T>
  /** Whether somebody else than this host waits for a place. */
  othersWait(host: string): boolean
}

type Waiter = Readonly<{ host: string; start: () => void }>

export function createReadPlaces({ placesMax }: ReadPlacesInit): ReadPlaces {
  const taken = new Map<string, number>()
  /** In the order of asking. */
  const waiters = new Set<Waiter>()
  let free = placesMax

  const takenBy = (host: string): number => taken.get(host) ?? 0
  const next = (): Waiter | undefined => {
    let best: Waiter | undefined
    for (const waiter of waiters) {
      const count = takenBy(waiter.host)
      if (count < free && (!best || count < takenBy(best.host))) best = waiter
    }
    return best
  }
  const fill = (): void => {
    for (let waiter = next(); waiter; waiter = next()) {
      waiters.delete(waiter)
      taken.set(waiter.host, takenBy(waiter.host) + 1)
      free -= 1
      waiter.start()
    }
  }
  const leave = (host: string): void => {
    free += 1
    const count = takenBy(host) - 1
    if (count > 0) taken.set(host, count)
    else taken.delete(host)
    fill()
  }
  return {
    async run(host, work, signal) {
      signal.throwIfAborted()
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      const waiter: Waiter = { host, start: resolve }
      const giveUp = (): void => {
        // One that has its place already sees the signal in its work.
        if (waiters.delete(waiter)) reject(signal.reason)
      }
      signal.addEventListener('abort', giveUp, { once: true })
      waiters.add(waiter)
      fill()
      await promise.finally(() => signal.removeEventListener('abort', giveUp))
      try {
        return await work()
      } finally {
        leave(host)
      }
    },
    othersWait: (host) => [...waiters].some((waiter) => waiter.host !== host),
  }
}
