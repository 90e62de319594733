/** A descriptor that comes in pieces from one peer, and is believed only when its hash is right. */
import { bundleIdOf, maxDescriptorBytes } from '../bundle/index.ts'
import type { BundleId, PeerId } from '../ids.ts'
import { ProtocolBreachError, WrongDescriptorError } from './errors.ts'
import { descriptorPieceBytes } from './wire.ts'

/** A piece, and the whole, may take so long before another holder is asked. */
const pieceMs = 3_000
const wholeMs = 10_000
/** The whole has so much longer: a second for each 256 kB. */
const wholeBytesPerMs = 256
/** How often all holders may be found too slow before no more time is given. */
const roundsMax = 6

export type DescriptorAssemblyInit = Readonly<{
  bundle: BundleId
  peer: PeerId
  /** What the peer says. */
  sizeBytes: number
  nowMs: number
  /** Rounds in which every holder was late: each doubles the time, as all of them may be slow. */
  rounds: number
}>

/** A descriptor that arrives in pieces from one peer. */
export class DescriptorAssembly {
  readonly peer: PeerId
  readonly #bundle: BundleId
  readonly #sizeBytes: number
  readonly #pieces: Uint8Array[] = []
  readonly #startMs: number
  readonly #patience: number
  #offset = 0
  #lastMs: number

  /** @throws {ProtocolBreachError} the size cannot be a descriptor's. */
  constructor({ bundle, peer, sizeBytes, nowMs, rounds }: DescriptorAssemblyInit) {
    if (sizeBytes < 1 || sizeBytes > maxDescriptorBytes) {
      throw new ProtocolBreachError(`a descriptor of ${sizeBytes} bytes`)
    }
    this.#bundle = bundle
    this.peer = peer
    this.#sizeBytes = sizeBytes
    this.#startMs = nowMs
    this.#lastMs = nowMs
    this.#patience = 2 ** Math.min(rounds, roundsMax)
  }

  /** Whether another holder should be asked: a piece, or all of it, takes too long. */
  isLate(nowMs: number): boolean {
    const allowedMs = wholeMs + this.#sizeBytes / wholeBytesPerMs
    return (
      nowMs - this.#lastMs > pieceMs * this.#patience ||
      nowMs - this.#startMs > allowedMs * this.#patience
    )
  }

  /** From where the next piece is wanted. */
  get offset(): number {
    return this.#offset
  }

  /**
   * Takes a piece. Returns the whole once it is there.
   * @throws {ProtocolBreachError} not the piece that was asked for.
   * @throws {WrongDescriptorError} the whole has another hash.
   */
  add(offset: number, body: Uint8Array, nowMs: number): Uint8Array | undefined {
    // Whole pieces only: a byte at a time would keep a download waiting for ever.
    const wantedBytes = Math.min(descriptorPieceBytes, this.#sizeBytes - this.#offset)
    const end = offset + body.length
    if (offset !== this.#offset || body.length !== wantedBytes) {
      throw new ProtocolBreachError(`a piece of ${body.length} bytes at ${offset}`)
    }
    this.#lastMs = nowMs
    this.#pieces.push(body)
    this.#offset = end
    if (end < this.#sizeBytes) return undefined
    const whole = Buffer.concat(this.#pieces)
    const got = bundleIdOf(whole)
    if (got !== this.#bundle) throw new WrongDescriptorError(this.#bundle, got)
    return whole
  }
}
