/**
 * How many bytes may be asked of one sender before they come. Streams of libp2p do not push back,
 * so the credit is what bounds memory on both sides, and what keeps a sender's link filled without
 * a long queue on it: rate × (round trip + 400 ms), 3 MiB at most. swarm.md 2.4 says 50 ms and two
 * chunks at least: where processes wait for a CPU, and requests behind chunks, a fast home's queue was
 * empty most of the time with that, at 70 to 85% of its line, and a slow one's as long as four
 * seconds. By now the twelve mixed homes' fast lines are at 93 to 97%; in the simulator, where
 * nothing waits for a CPU, it makes no difference.
 */

/** The rate is that of the last two seconds. */
const spanMs = 2_000
const slotMs = 100
const slots = spanMs / slotMs
/** Before a rate is known; also the least over which one is computed. */
const firstRoundTripMs = 100
const shortestMs = 20
/** So long a sender's queue may be: covers the jitter of a home link, and of busy machines. */
const queueMs = 400
export const creditBytesMax = 3 << 20

export interface Credit {
  asked(nowMs: number): void
  arrived(bytes: number, nowMs: number): void
  /** How long the first chunk of a request took, from asking to having it. */
  answered(afterMs: number): void
  /** Bytes a second over the last two; 0 before anything came. */
  bytesPerS(nowMs: number): number
  roundTripMs(): number
  /** How much may be outstanding. */
  allowedBytes(chunkBytes: number, nowMs: number): number
}

/** Credit of one sender, from its measured rate; see the head of this file. */
export function createCredit(): Credit {
  const amounts = new Float64Array(slots)
  let slot = 0
  let startMs: number | undefined
  let bestMs = Number.POSITIVE_INFINITY
  let sum = 0

  const advance = (nowMs: number): void => {
    const now = Math.floor(nowMs / slotMs)
    for (let passed = Math.min(now - slot, slots); passed > 0; passed--) {
      const at = (now - passed + 1) % slots
      sum -= amounts[at] ?? 0
      amounts[at] = 0
    }
    slot = Math.max(slot, now)
  }
  const credit: Credit = {
    asked(nowMs) {
      // Silence before a request is not slowness: the span starts anew after an idle one.
      if (credit.bytesPerS(nowMs) === 0) startMs = nowMs
    },
    arrived(bytes, nowMs) {
      advance(nowMs)
      startMs ??= nowMs
      const at = slot % slots
      amounts[at] = (amounts[at] ?? 0) + bytes
      sum += bytes
    },
    answered(afterMs) {
      bestMs = Math.min(bestMs, Math.max(0, afterMs))
    },
    bytesPerS(nowMs) {
      advance(nowMs)
      if (startMs === undefined) return 0
      const overMs = Math.min(spanMs, Math.max(shortestMs, nowMs - startMs))
      return (sum * 1000) / overMs
    },
    roundTripMs: () => (Number.isFinite(bestMs) ? bestMs : firstRoundTripMs),
    allowedBytes(chunkBytes, nowMs) {
      const rate = credit.bytesPerS(nowMs)
      const wanted = (rate * (credit.roundTripMs() + queueMs)) / 1000
      // Of one that is not known yet two chunks: one alone would wait a round trip.
      const least = rate > 0 ? chunkBytes : 2 * chunkBytes
      return Math.max(least, Math.min(wanted, creditBytesMax))
    },
  }
  return credit
}
