/**
 * Many callers, one piece of work. Each may leave without ending it for the others; without this
 * the first that gives up would take the download from all who wait for it.
 */

/**
 * One caller's hold on shared work: `onLeave` runs once if its signal aborts first. Returns a
 * function that makes a shared promise end for this caller when it leaves; call it at once for each.
 */
export function leaveOn(signal: AbortSignal | undefined, onLeave: () => void) {
  const gone = Promise.withResolvers<never>()
  gone.promise.catch(() => undefined)
  const leave = (): void => {
    onLeave()
    gone.reject(signal?.reason)
  }
  if (signal?.aborted) leave()
  else signal?.addEventListener('abort', leave, { once: true })
  // Until the last of them has settled: a caller that has one result still waits for another.
  let waiting = 0
  return <T>(shared: Promise<T>): Promise<T> => {
    waiting += 1
    const mine = Promise.race([shared, gone.promise]).finally(() => {
      waiting -= 1
      if (waiting === 0) signal?.removeEventListener('abort', leave)
    })
    mine.catch(() => undefined)
    return mine
  }
}
