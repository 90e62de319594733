/**
 * How many bytes may be asked of one sender before they come. Streams of libp2p do not push back,
 * so the credit is what bounds memory on both sides, and what keeps a sender's link filled without
 * a queue on it: rate × (round trip + 50 ms), two chunks at least, 1 MiB at most (swarm.md 2.4).
 */

/** The rate is that of the last two seconds. */
const spanMs = 2_000
const slotMs = 100
const slots = spanMs / slotMs
/** Before a rate is known; also the least over which one is computed. */
const firstRoundTripMs = 100
const shortestMs = 20
/** So long a sender's queue may be: covers the jitter of a home link. */
const queueMs = 50
export const creditBytesMax = 1 << 21

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
      const wanted = (credit.bytesPerS(nowMs) * (credit.roundTripMs() + queueMs)) / 1000
      // Two chunks at least, also where two are more than 1 MiB: one alone would wait a round trip.
      return Math.max(2 * chunkBytes, Math.min(wanted, creditBytesMax))
    },
  }
  return credit
}
