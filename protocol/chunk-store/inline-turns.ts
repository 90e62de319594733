/**
 * When a chunk's file work is done on the main thread instead of the chunk thread. A message to a
 * thread and one back cost more CPU than reading, hashing and writing 64 KiB where the page cache
 * takes it, and a home on an ordinary line handles some tens of chunks a second: what a thread is
 * for, keeping the main one free, does not begin until there are hundreds. A disk that makes us wait
 * shows at once, and then the thread does the waiting.
 * Measured: twelve homes that share a 64 MB image, see ARCHITECTURE.md.
 */

/** So much in a quarter of a second takes some 5% of the main thread. */
const spanMs = 250
const spanBytes = 4 << 20
/** Longer runs come from fast lines. */
const jobBytesMax = 320 * 1024
/** What the page cache takes is done in less, also where a thread waits for a CPU; a disk that writes back is not. */
const slowMs = 100
const restMs = 30_000

export interface InlineTurns {
  /** Whether a job of so many bytes may be done inline now. */
  mayDo(bytes: number, nowMs: number): boolean
  /** One was. */
  did(bytes: number, tookMs: number, nowMs: number): void
}

/** State in, choice out. */
export function createInlineTurns(): InlineTurns {
  let spanStartMs = Number.NEGATIVE_INFINITY
  let doneBytes = 0
  let notBeforeMs = Number.NEGATIVE_INFINITY
  return {
    mayDo(bytes, nowMs) {
      if (bytes > jobBytesMax || nowMs < notBeforeMs) return false
      return nowMs - spanStartMs >= spanMs || doneBytes + bytes <= spanBytes
    },
    did(bytes, tookMs, nowMs) {
      if (nowMs - spanStartMs >= spanMs) {
        spanStartMs = nowMs
        doneBytes = 0
      }
      doneBytes += bytes
      if (tookMs >= slowMs) notBeforeMs = nowMs + restMs
    },
  }
}
