/**
 * How fast a node may send when its chef has set no limit: a little below what the line was
 * measured to do, and less as soon as the home's own traffic would wait. A modem's queue holds
 * seconds of upload; a call or a game in the same home pays for each of them. Node offers no
 * LEDBAT (RFC 6817), so its idea is here: the round trip to the coordinator tells how long that
 * queue is, and we give way before others have to.
 *
 * Pure: the caller brings round trips, what was sent, and the time.
 */
import { createBaseDelay } from '../../protocol/base-delay.ts'

/** Of the measured uplink: what is left is the home's. */
export const uplinkShare = 0.85
/** Before anything is measured: 4 Mbit/s, and twice as much every two seconds while it is calm. */
export const firstBytesPerS = 500_000
const excessMaxMs = 60
const excessForMs = 2_000
const cut = 0.8
/** After a cut, calm for so long, then a fiftieth of the top a second. */
const calmForMs = 3_000
const recoverSharePerS = 0.02
const doubleEveryMs = 2_000
/** Never below a twentieth of the top, nor 128 kbit/s: chunks would time out at their peers. */
const floorShare = 0.05
const floorMinBytesPerS = 16_000
/** We are the cause only while we send at least this share of what we may. */
const causeShare = 0.1
/** As much is being asked of us as we may send. */
const demandShare = 0.7
/**
 * The base is the least round trip of the last half hour, minute by minute: longer than most
 * uploads of a chef, who would else be taken for the path after a while.
 */
const baseMinutes = 30

export interface Headroom {
  /** What a link test found; replaces what was learned before. */
  measured(upBytesPerS: number): void
  /** Another control connection, maybe over another path: round trips before it mean nothing. */
  newPath(): void
  /** A round trip on the control connection. */
  roundTrip(ms: number, nowMs: number): void
  /** What was sent since the last call, on the wire. Returns bytes a second that may be sent. */
  step(sentBytes: number, nowMs: number): number
  /** For logs and metrics. */
  state(): Readonly<{ bytesPerS: number; baseMs: number | undefined; excessMs: number }>
}

/** A controller that knows nothing yet. */
export function createHeadroom(): Headroom {
  let base = createBaseDelay(baseMinutes)
  /** Undefined: nobody has measured, and nothing has told us. */
  let topBytesPerS: number | undefined
  let rate = firstBytesPerS
  let excessMs = 0
  let excessSinceMs: number | undefined
  let calmSinceMs = 0
  let lastStepMs: number | undefined
  let sentBytesPerS = 0
  let doubledMs: number | undefined

  const floor = (): number =>
    Math.min(rate, Math.max(floorMinBytesPerS, (topBytesPerS ?? 0) * floorShare))
  const isCause = (): boolean => sentBytesPerS >= causeShare * rate
  const giveWay = (nowMs: number): void => {
    // What we may send says little when less was asked of us: what we did send fills the queue.
    const filling = Math.min(rate, sentBytesPerS)
    topBytesPerS ??= filling
    rate = Math.max(floor(), filling * cut)
    excessSinceMs = nowMs
    calmSinceMs = nowMs
  }
  const grow = (nowMs: number, elapsedMs: number): void => {
    if (nowMs - calmSinceMs < calmForMs) return
    if (topBytesPerS !== undefined) {
      rate = Math.min(topBytesPerS, rate + (topBytesPerS * recoverSharePerS * elapsedMs) / 1_000)
      return
    }
    doubledMs ??= nowMs
    if (sentBytesPerS < demandShare * rate) doubledMs = nowMs
    else if (nowMs - doubledMs >= doubleEveryMs) {
      rate *= 2
      doubledMs = nowMs
    }
  }
  return {
    measured(upBytesPerS) {
      const top = upBytesPerS * uplinkShare
      // A line that was calm at a fraction of its rate stays at that fraction.
      rate = topBytesPerS === undefined ? top : Math.min(top, (rate * top) / topBytesPerS)
      topBytesPerS = top
    },
    newPath() {
      base = createBaseDelay(baseMinutes)
      excessSinceMs = undefined
    },
    roundTrip(ms, nowMs) {
      base.add(ms, nowMs)
      excessMs = Math.max(0, ms - (base.ms(nowMs) ?? ms))
      if (excessMs <= excessMaxMs || !isCause()) excessSinceMs = undefined
      else {
        excessSinceMs ??= nowMs
        calmSinceMs = nowMs
      }
    },
    step(sentBytes, nowMs) {
      const elapsedMs = lastStepMs === undefined ? 0 : nowMs - lastStepMs
      lastStepMs = nowMs
      if (elapsedMs > 0) sentBytesPerS = smooth(sentBytesPerS, sentBytes, elapsedMs)
      const isLate = excessSinceMs !== undefined && nowMs - excessSinceMs >= excessForMs
      if (!isCause()) excessSinceMs = undefined
      else if (isLate) giveWay(nowMs)
      grow(nowMs, elapsedMs)
      return rate
    },
    state: () => ({ bytesPerS: rate, baseMs: base.ms(lastStepMs ?? 0), excessMs }),
  }
}

/** A mean of about the last two seconds. */
function smooth(bytesPerS: number, bytes: number, elapsedMs: number): number {
  const share = Math.min(1, elapsedMs / excessForMs)
  return bytesPerS + share * ((bytes * 1_000) / elapsedMs - bytesPerS)
}
