/**
 * The chef's line as the swarm may use it: a limit for each direction, counted in bytes on the
 * wire. The download limit is held by asking less, never by dropping; the upload limit by when a
 * chunk starts and how it is spread. Acknowledgements of one direction weigh on the other.
 */
import { minChunkSizeBytes } from '../bundle/index.ts'
import type { Clock } from '../clock.ts'
import { unlimitedBitsPerS } from '../config/index.ts'
import type { Pace } from '../wire/index.ts'
import { createSpread } from './spread.ts'
import { countingWire, createTokenBucket, type TokenBucket } from './token-bucket.ts'
import type { LinkRates } from './wire.ts'

/** Bytes a second on the wire; absent: no limit. */
export type SwarmLimits = Readonly<{
  uploadBytesPerS?: number
  downloadBytesPerS?: number
  /**
   * Chunks are spread over the time that they take, for who else sends over this line. Costs up to
   * 3% of it in heads of packets: for a limit near the line's own rate, and where others matter.
   */
  gentle?: boolean
}>

/** Limits as settings have them, in bits; beyond what any line does they are none. */
export function swarmLimitsOf(limits: {
  readonly uploadBitsPerS?: number | undefined
  readonly downloadBitsPerS?: number | undefined
}): SwarmLimits {
  const bytes = (bits: number | undefined): number | undefined =>
    bits === undefined || bits >= unlimitedBitsPerS ? undefined : bits / 8
  const [up, down] = [bytes(limits.uploadBitsPerS), bytes(limits.downloadBitsPerS)]
  return {
    ...(up === undefined ? {} : { uploadBytesPerS: up }),
    ...(down === undefined ? {} : { downloadBytesPerS: down }),
  }
}

export interface Line {
  readonly uploads: TokenBucket
  readonly downloads: TokenBucket
  /** Counts from now on, also for what is under way. */
  setLimits(limits: SwarmLimits): void
  /** What telling others of new chunks may cost: 2% of the uplink. */
  readonly haves: TokenBucket
  /** Our uplink: the limit, else what was measured; undefined: not known. */
  uploadBytesPerS(): number | undefined
  /** Takes what was measured meanwhile into account. Call a few times a second. */
  refresh(): void
  /** How what is sent now is to be cut and timed; undefined: whole. */
  pace(): Pace | undefined
}

/** So long a stall of the process costs no rate; so long a burst after it may last. */
const burstMs = 100

/** Of the uplink, telling of new chunks may take so much; and so much in any case. */
const haveShareMax = 0.02
const haveBytesPerSMin = 4096
export const haveBurstBytes = 8192

/** What telling of new chunks may take of such an uplink, in bytes a second. */
export function haveBytesPerS(uploadBytesPerS: number): number {
  return Math.max(haveBytesPerSMin, uploadBytesPerS * haveShareMax)
}

export type LineComponents = Readonly<{
  clock: Clock
  /** What was measured of the link. */
  linkRates: () => LinkRates
  signal: AbortSignal
}>

/** A line without limits until `setLimits`. */
export function createLine({ clock, linkRates, signal }: LineComponents): Line {
  const up = createTokenBucket(minChunkSizeBytes, burstMs)
  const down = createTokenBucket(minChunkSizeBytes, burstMs)
  const spread = createSpread({ clock, signal })
  const haves = createTokenBucket(haveBurstBytes)
  let limit: number | undefined
  const line: Line = {
    uploads: countingWire(up, down, () => spread.pace()?.pieceBytes),
    downloads: countingWire(down, up),
    setLimits({ uploadBytesPerS, downloadBytesPerS, gentle = false }) {
      const nowMs = clock.nowMs()
      up.setRate(uploadBytesPerS, nowMs)
      down.setRate(downloadBytesPerS, nowMs)
      spread.setRate(gentle ? uploadBytesPerS : undefined)
      limit = uploadBytesPerS
      line.refresh()
    },
    haves: {
      ...haves,
      take(bytes, nowMs) {
        haves.take(bytes, nowMs)
        up.take(bytes, nowMs)
      },
    },
    uploadBytesPerS: () => limit ?? linkRates().uploadBytesPerS,
    refresh() {
      const rate = line.uploadBytesPerS()
      haves.setRate(rate && haveBytesPerS(rate), clock.nowMs())
    },
    pace: spread.pace,
  }
  return line
}
