/**
 * What a reader needs of a bundle that may still be arriving; the chunk store's `StoredBundle` is
 * one. It keeps this folder free of the store, which is built on it.
 */
import type { BundleLayout } from './layout.ts'

export interface ChunkSource {
  readonly layout: BundleLayout
  /** The bytes that travel of a held chunk. @throws {PotluckError} it is not held, or has rotted. */
  read(chunk: number, options?: { readonly signal?: AbortSignal }): Promise<Uint8Array>
  /** Resolves once `chunk` is held. @throws the signal's reason; the source was removed or closed. */
  whenHeld(chunk: number, options: { readonly signal: AbortSignal }): Promise<void>
}
