/**
 * A deadline on progress, not on the whole: a blob of 30 GB may take hours, but a registry that
 * drips a byte a minute would hold a pull, and all who wait for it, for ever.
 */
export type MinimumProgressInit = Readonly<{
  /** So many bytes must come, asked anew each time… */
  minBytes: () => number
  /** …in so much waiting for the source; the consumer's own time is not counted. */
  windowMs: number
  /** What ends the stream when they do not. */
  tooSlow: () => Error
  signal: AbortSignal
}>

/** Looks so often within a window. */
const looksPerWindow = 8

/**
 * What `open` gives, until it is too slow; its signal is aborted then.
 * @throws what `tooSlow` makes; the source's errors
 */
export async function* withMinimumProgress(
  open: (signal: AbortSignal) => AsyncIterable<Uint8Array>,
  { minBytes, windowMs, tooSlow, signal }: MinimumProgressInit,
): AsyncGenerator<Uint8Array, void> {
  const ending = new AbortController()
  let waitingSinceMs: number | undefined
  let waitedMs = 0
  let cameBytes = 0
  const nowMs = (): number => performance.now()
  const timer = setInterval(() => {
    const nowWaitedMs = waitingSinceMs === undefined ? 0 : nowMs() - waitingSinceMs
    if (waitedMs + nowWaitedMs >= windowMs) ending.abort(tooSlow())
  }, windowMs / looksPerWindow)
  const source = open(AbortSignal.any([signal, ending.signal]))[Symbol.asyncIterator]()
  let ended = false
  try {
    for (;;) {
      waitingSinceMs = nowMs()
      const next = await source.next()
      waitedMs += nowMs() - waitingSinceMs
      waitingSinceMs = undefined
      if (next.done) {
        ended = true
        return
      }
      cameBytes += next.value.length
      if (cameBytes >= minBytes()) {
        cameBytes = 0
        waitedMs = 0
      }
      yield next.value
    }
  } catch (error) {
    ended = true
    throw ending.signal.aborted ? ending.signal.reason : error
  } finally {
    clearInterval(timer)
    if (!ended) await source.return?.()
  }
}
