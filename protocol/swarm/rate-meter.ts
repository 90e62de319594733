/**
 * A rate in two numbers: bytes weighted by e^(−age/span). A window of slots a peer, for thousands
 * of peers, would be most of what an idle node keeps in memory.
 */

const spanMs = 5_000

export interface RateMeter {
  add(bytes: number, nowMs: number): void
  /** Bytes a second of the last seconds; falls to 0 in silence. */
  bytesPerS(nowMs: number): number
}

/** A meter that has seen nothing. */
export function createRateMeter(): RateMeter {
  let sum = 0
  let atMs = 0
  const fade = (nowMs: number): void => {
    sum *= Math.exp(-Math.max(0, nowMs - atMs) / spanMs)
    atMs = nowMs
  }
  return {
    add(bytes, nowMs) {
      fade(nowMs)
      sum += bytes
    },
    bytesPerS(nowMs) {
      fade(nowMs)
      return Math.round((sum * 1000) / spanMs)
    },
  }
}
