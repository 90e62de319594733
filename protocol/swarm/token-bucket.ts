/**
 * A rate that is kept over time, with bursts of at most one step: what a chef sets as the limit of
 * a direction. Changing the limit counts from that moment on. Time comes in; there are no timers.
 */

export interface TokenBucket {
  /** Milliseconds until `bytes` may go; 0: now. Spends nothing. */
  waitMs(bytes: number, nowMs: number): number
  /** Spends bytes, below zero if need be: what is owed is waited for later. */
  take(bytes: number, nowMs: number): void
  /** Bytes a second; undefined: no limit. */
  setRate(bytesPerS: number | undefined, nowMs: number): void
}

/**
 * A bucket that is full at first.
 * @param burstBytes what may have been saved up in silence; a chunk, so that a burst is one chunk.
 */
export function createTokenBucket(burstBytes: number): TokenBucket {
  let rate: number | undefined
  let saved = burstBytes
  let atMs = 0
  const refill = (nowMs: number): void => {
    if (rate !== undefined) saved = Math.min(burstBytes, saved + ((nowMs - atMs) * rate) / 1000)
    atMs = nowMs
  }
  return {
    waitMs(bytes, nowMs) {
      if (rate === undefined) return 0
      refill(nowMs)
      // More than a burst can never be saved: it goes when the bucket is full, and leaves a debt.
      const missing = Math.min(bytes, burstBytes) - saved
      return missing <= 0 ? 0 : Math.max(1, Math.ceil((missing * 1000) / rate))
    },
    take(bytes, nowMs) {
      if (rate === undefined) return
      refill(nowMs)
      saved -= bytes
    },
    setRate(bytesPerS, nowMs) {
      refill(nowMs)
      if (rate === undefined) saved = burstBytes
      rate = bytesPerS === undefined ? undefined : Math.max(1, bytesPerS)
    },
  }
}
