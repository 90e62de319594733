/** An image as the swarm sees it: blobs cut as real ones are, with no bytes in them. */
import { type BundleLayout, createLayout, cutFor } from '../../../protocol/bundle/index.ts'
import type { BlobId, BundleId } from '../../../protocol/ids.ts'

export const simulatedBundle = 'a'.repeat(64) as BundleId

/** @param chunkBytes every blob is cut so, instead of by its size (for the sweep) */
export function imageOf(layers: readonly number[], chunkBytes?: number): BundleLayout {
  const names = new Uint8Array(0)
  const blobs = layers.map((sizeBytes, index) => {
    const id = index.toString(16).padStart(64, '0') as BlobId
    if (chunkBytes === undefined) return { ...cutFor(sizeBytes), id, names }
    const chunkCount = Math.max(1, Math.ceil(sizeBytes / chunkBytes))
    return { sizeBytes, chunkSizeBytes: chunkBytes, chunkCount, id, names }
  })
  return createLayout({ blobs })
}
