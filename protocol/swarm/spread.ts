/**
 * Spreads a chunk over the time that it takes at the limited rate. Written at once, 64 KiB wait
 * 260 ms in the modem of a line of 2 Mbit/s, and so does whatever else the home sends meanwhile.
 * The bucket says when a chunk may start; this says when each piece of it goes.
 */
import type { Clock } from '../clock.ts'
import type { Pace } from '../wire/index.ts'

/** A piece is what goes in so many ms: less would cost timers, more would be felt in a call. */
const pieceMs = 15
const pieceMinBytes = 8 * 1024
const pieceMaxBytes = 64 * 1024
/** Faster than the limit, which the bucket keeps: pieces must not add up their timers' delays. */
const haste = 1.15

export interface Spread {
  /** Bytes a second; undefined: no limit, nothing is cut into pieces. */
  setRate(bytesPerS: number | undefined): void
  /** For `Channel.write`; undefined while chunks may go whole. */
  pace(): Pace | undefined
}

/** One line's, shared by all that is sent on it. */
export function createSpread({ clock, signal }: { clock: Clock; signal: AbortSignal }): Spread {
  let rate: number | undefined
  let freeAtMs = 0
  const turn = async (bytes: number): Promise<void> => {
    const nowMs = clock.nowMs()
    const startMs = Math.max(nowMs, freeAtMs)
    freeAtMs = startMs + (bytes * 1000) / ((rate ?? Infinity) * haste)
    if (startMs - nowMs >= 1) await clock.sleep(startMs - nowMs, { signal })
  }
  return {
    setRate(bytesPerS) {
      rate = bytesPerS
      freeAtMs = 0
    },
    pace() {
      if (rate === undefined) return undefined
      const pieceBytes = Math.max(pieceMinBytes, Math.floor((rate * pieceMs) / 1000))
      return pieceBytes >= pieceMaxBytes ? undefined : { pieceBytes, turn }
    },
  }
}
