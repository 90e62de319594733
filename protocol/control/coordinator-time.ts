/**
 * The coordinator's time as a peer knows it: an offset to the boot clock, taken from answers and
 * never from the wall clock. The answer's time is counted from when the question left, so the
 * peer's estimate is never behind the truth by more than the answer took, and never runs a lease
 * longer than the coordinator counts it. Source: Cristian, "Probabilistic clock synchronization",
 * 1989 (the one-sided bound).
 */
import type { Clock } from '../clock.ts'

export interface CoordinatorTime {
  /** Milliseconds of the coordinator's time, or undefined before the first answer. */
  nowMs(): number | undefined
  /** Takes a time that the coordinator wrote after `sentMs` (boot clock). */
  take(timeMs: number, sentMs: number): void
  /** Coordinator's time less the boot clock: good for this boot, whoever reads it. */
  readonly offsetMs: number | undefined
  /** When the boot clock will read at the coordinator's `timeMs`. */
  bootMsAt(timeMs: number): number | undefined
}

/** Knows nothing until `take`. */
export function createCoordinatorTime({ clock }: { readonly clock: Clock }): CoordinatorTime {
  let offsetMs: number | undefined
  return {
    nowMs: () => (offsetMs === undefined ? undefined : clock.nowMs() + offsetMs),
    take(timeMs, sentMs) {
      offsetMs = timeMs - sentMs
    },
    get offsetMs() {
      return offsetMs
    },
    bootMsAt: (timeMs) => (offsetMs === undefined ? undefined : timeMs - offsetMs),
  }
}
