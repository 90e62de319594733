/**
 * A rate that is kept over time, with bursts of at most one step: what a chef sets as the limit of
 * a direction. Changing the limit counts from that moment on. Time comes in; there are no timers.
 */
import { ackShare, wireBytes } from './wire-bytes.ts'

export interface TokenBucket {
  /** Milliseconds until `bytes` may go; 0: now. Spends nothing. */
  waitMs(bytes: number, nowMs: number): number
  /** Spends bytes, below zero if need be: what is owed is waited for later. */
  take(bytes: number, nowMs: number): void
  /** What was spent and will not be used after all. */
  giveBack(bytes: number, nowMs: number): void
  /**
   * As much may be taken at once: half of a burst, so that a wait for it that lasts too long loses
   * nothing, and a debt is none to speak of when the rate is lowered. Infinity: no limit.
   */
  stepBytes(): number
  /** Bytes a second; undefined: no limit. */
  setRate(bytesPerS: number | undefined, nowMs: number): void
}

/**
 * A bucket that is full at first.
 * @param burstBytes what may have been saved up in silence; a chunk, so that a burst is one chunk.
 * @param burstMs so long a pause of the whole process loses nothing either, at any rate: a stall of
 *   a busy machine would otherwise cost a fast line more than the 5% to which limits must hold.
 */
export function createTokenBucket(burstBytes: number, burstMs = 0): TokenBucket {
  let rate: number | undefined
  let burst = burstBytes
  let saved = burstBytes
  let atMs = 0
  const refill = (nowMs: number): void => {
    if (rate !== undefined) saved = Math.min(burst, saved + ((nowMs - atMs) * rate) / 1000)
    atMs = nowMs
  }
  return {
    waitMs(bytes, nowMs) {
      if (rate === undefined) return 0
      refill(nowMs)
      // More than a burst can never be saved: it goes when the bucket is full, and leaves a debt.
      const missing = Math.min(bytes, burst) - saved
      return missing <= 0 ? 0 : Math.max(1, Math.ceil((missing * 1000) / rate))
    },
    take(bytes, nowMs) {
      if (rate === undefined) return
      refill(nowMs)
      saved -= bytes
    },
    giveBack(bytes, nowMs) {
      if (rate === undefined) return
      refill(nowMs)
      saved = Math.min(burst, saved + bytes)
    },
    stepBytes: () => (rate === undefined ? Number.POSITIVE_INFINITY : burst / 2),
    setRate(bytesPerS, nowMs) {
      refill(nowMs)
      const wasUnlimited = rate === undefined
      rate = bytesPerS === undefined ? undefined : Math.max(1, bytesPerS)
      burst = Math.max(burstBytes, ((rate ?? 0) * burstMs) / 1000)
      if (wasUnlimited) saved = burst
      saved = Math.min(saved, burst)
    },
  }
}

/**
 * `bucket`, fed with bytes of payload and spending those that the line carries for them: a chef's
 * limit is about the line. Acknowledgements are spent from `back`, the other direction's.
 * @param pieceBytes how small what is sent is cut now; undefined: not at all
 */
export function countingWire(
  bucket: TokenBucket,
  back: TokenBucket,
  pieceBytes: () => number | undefined = () => undefined,
): TokenBucket {
  return {
    waitMs: (bytes, nowMs) => bucket.waitMs(wireBytes(bytes, pieceBytes()), nowMs),
    take(bytes, nowMs) {
      bucket.take(wireBytes(bytes, pieceBytes()), nowMs)
      back.take(bytes * ackShare, nowMs)
    },
    giveBack(bytes, nowMs) {
      bucket.giveBack(wireBytes(bytes, pieceBytes()), nowMs)
      back.giveBack(bytes * ackShare, nowMs)
    },
    stepBytes: bucket.stepBytes,
    setRate: bucket.setRate,
  }
}
