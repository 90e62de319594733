/** A descriptor that comes in pieces from one peer, and is believed only when its hash is right. */
import { bundleIdOf, maxDescriptorBytes } from '../bundle/index.ts'
import type { BundleId, PeerId } from '../ids.ts'
import { ProtocolBreachError, WrongDescriptorError } from './errors.ts'

/** A descriptor that arrives in pieces from one peer. */
export class DescriptorAssembly {
  readonly peer: PeerId
  readonly #bundle: BundleId
  readonly #sizeBytes: number
  readonly #pieces: Uint8Array[] = []
  #offset = 0
  lastMs: number

  /** @throws {ProtocolBreachError} the size cannot be a descriptor's. */
  constructor(bundle: BundleId, peer: PeerId, sizeBytes: number, nowMs: number) {
    if (sizeBytes < 1 || sizeBytes > maxDescriptorBytes) {
      throw new ProtocolBreachError(`a descriptor of ${sizeBytes} bytes`)
    }
    this.#bundle = bundle
    this.peer = peer
    this.#sizeBytes = sizeBytes
    this.lastMs = nowMs
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
    const end = offset + body.length
    if (offset !== this.#offset || body.length === 0 || end > this.#sizeBytes) {
      throw new ProtocolBreachError(`a piece of ${body.length} bytes at ${offset}`)
    }
    this.lastMs = nowMs
    this.#pieces.push(body)
    this.#offset = end
    if (end < this.#sizeBytes) return undefined
    const whole = Buffer.concat(this.#pieces)
    const got = bundleIdOf(whole)
    if (got !== this.#bundle) throw new WrongDescriptorError(this.#bundle, got)
    return whole
  }
}
