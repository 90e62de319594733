/**
 * What a reader needs of a bundle that may still be arriving; the chunk store's `StoredBundle` is
 * one. It keeps this folder free of the store, which is built on it.
 */
import type { ReadonlyBitfield, Run } from './bitfield.ts'
import type { BundleLayout } from './layout.ts'

export interface ChunkSource {
  readonly layout: BundleLayout
  /** By chunk number; it changes as chunks come. */
  readonly held: ReadonlyBitfield
  /**
   * The bytes that travel of adjacent chunks, one behind the other.
   * @throws {PotluckError} one of them is not held, or has rotted
   */
  readRun(run: Run, options?: { readonly signal?: AbortSignal }): Promise<Uint8Array>
  /** Resolves once `chunk` is held. @throws the signal's reason; the source was removed or closed. */
  whenHeld(chunk: number, options: { readonly signal: AbortSignal }): Promise<void>
}
