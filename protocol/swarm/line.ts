/**
 * The chef's line as the swarm may use it: a limit for each direction, counted in bytes on the
 * wire. The download limit is held by asking less, never by dropping; the upload limit by when a
 * chunk starts and how it is spread. Acknowledgements of one direction weigh on the other.
 */
import { minChunkSizeBytes } from '../bundle/index.ts'
import type { Clock } from '../clock.ts'
import type { Pace } from '../wire/index.ts'
import { createSpread } from './spread.ts'
import { countingWire, createTokenBucket, type TokenBucket } from './token-bucket.ts'

/** Bytes a second on the wire; absent: no limit. */
export type SwarmLimits = Readonly<{ uploadBytesPerS?: number; downloadBytesPerS?: number }>

export interface Line {
  readonly uploads: TokenBucket
  readonly downloads: TokenBucket
  /** Counts from now on, also for what is under way. */
  setLimits(limits: SwarmLimits): void
  /** How what is sent now is to be cut and timed; undefined: whole. */
  pace(): Pace | undefined
}

/** So long a stall of the process costs no rate; so long a burst after it may last. */
const burstMs = 100

/** A line without limits until `setLimits`. */
export function createLine({ clock, signal }: { clock: Clock; signal: AbortSignal }): Line {
  const up = createTokenBucket(minChunkSizeBytes, burstMs)
  const down = createTokenBucket(minChunkSizeBytes, burstMs)
  const spread = createSpread({ clock, signal })
  return {
    uploads: countingWire(up, down),
    downloads: countingWire(down, up),
    setLimits({ uploadBytesPerS, downloadBytesPerS }) {
      const nowMs = clock.nowMs()
      up.setRate(uploadBytesPerS, nowMs)
      down.setRate(downloadBytesPerS, nowMs)
      spread.setRate(uploadBytesPerS)
    },
    pace: spread.pace,
  }
}
