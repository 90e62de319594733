/**
 * The delay that a path has by itself: the least that was measured of late, kept by the minute so
 * that the oldest can be forgotten. What is beyond it waits in some queue. Never forgotten, the
 * least would count a path that has become longer as a queue for ever; forgotten soon, a queue that
 * lasts would count as the path. Source: LEDBAT (RFC 6817), base_delays. Pure: time comes in.
 */
export interface BaseDelay {
  add(delayMs: number, nowMs: number): void
  /** Undefined: nothing was measured in all these minutes. */
  ms(nowMs: number): number | undefined
}

const minuteMs = 60_000

/**
 * A path of which nothing is known yet.
 * @param minutes so many are remembered, the present one included
 */
export function createBaseDelay(minutes: number): BaseDelay {
  /** Minute → the least in it. */
  const least = new Map<number, number>()
  return {
    add(delayMs, nowMs) {
      const minute = Math.floor(nowMs / minuteMs)
      least.set(minute, Math.min(least.get(minute) ?? delayMs, delayMs))
    },
    ms(nowMs) {
      const oldest = Math.floor(nowMs / minuteMs) - minutes
      for (const minute of least.keys()) if (minute <= oldest) least.delete(minute)
      return least.size === 0 ? undefined : Math.min(...least.values())
    },
  }
}
