/**
 * How big the next round is, and what one tells. Pure. A round that is over at once measures the
 * start of a TCP connection, a long one costs a home its line: so rounds grow until one is long
 * enough, and the first part of each is left out.
 */
import { wireBytes } from '../swarm/index.ts'
import { bitsPerSMax, pieceBytes, roundBytesMax } from './wire.ts'

const firstBytes = 128 * 1024
const growth = 4
/** Long enough for the queue of a modem to fill and the rate to show. */
const enoughMs = 250
/** Left out of each round, as a share of its bytes. */
const warmUpShare = 0.25
/** A timer's and an event loop's worth: shorter spans tell nothing. */
const spanMinMs = 2

/** Bytes of the round after one of `bytes` that took `ms`; undefined: it told enough. */
export function nextRound(last?: {
  readonly bytes: number
  readonly ms: number
}): number | undefined {
  if (!last) return firstBytes
  if (last.ms >= enoughMs || last.bytes >= roundBytesMax) return undefined
  return Math.min(roundBytesMax, last.bytes * growth)
}

/** When each piece of a round came: bytes and ms of any clock. */
export class Arrivals {
  readonly #all: { readonly atMs: number; readonly bytes: number }[] = []
  readonly #startMs: number

  constructor(startMs: number) {
    this.#startMs = startMs
  }

  add(bytes: number, atMs: number): void {
    this.#all.push({ atMs, bytes })
  }

  /** From the start to the last piece. */
  get ms(): number {
    return Math.max(0, (this.#all.at(-1)?.atMs ?? this.#startMs) - this.#startMs)
  }

  /** The line's rate once the round had warmed up, overhead of packets included. */
  bitsPerS(): number {
    const total = this.#all.reduce((sum, { bytes }) => sum + bytes, 0)
    let passed = 0
    let from = this.#startMs
    let counted = 0
    for (const { atMs, bytes } of this.#all) {
      if (passed + bytes <= total * warmUpShare) from = atMs
      else counted += bytes
      passed += bytes
    }
    return rateOf(counted, (this.#all.at(-1)?.atMs ?? from) - from)
  }
}

/** Bits a second of a line that carried `bytes` of payload in `ms`. */
export function rateOf(bytes: number, ms: number): number {
  const pieces = Math.floor(bytes / pieceBytes)
  const onWire = pieces * wireBytes(pieceBytes) + wireBytes(bytes - pieces * pieceBytes)
  return Math.min(bitsPerSMax, Math.round((onWire * 8_000) / Math.max(spanMinMs, ms)))
}
