/**
 * How a blob is cut. The size of a chunk follows from the blob's own length alone, so that a blob
 * is cut alike in every image that has it, and unchanged blobs of a new version are not moved
 * again. Small chunks finish a swarm sooner, but each costs 32 bytes in the descriptor: this keeps
 * 2048 to 4096 chunks a blob between 128 MiB and 4 GiB (swarm.md 2.3, 2.4).
 */
import assert from 'node:assert/strict'

export const minChunkSizeBytes = 64 * 1024
export const maxChunkSizeBytes = 1024 * 1024
/** The GCM tag that follows the ciphertext of every chunk. */
export const tagBytes = 16
/** The longest chunk that travels. */
export const maxTravelBytes = maxChunkSizeBytes + tagBytes
const chunksAimed = 4096

/** How one blob is cut: all of it follows from its length. */
export type BlobCut = Readonly<{
  sizeBytes: number
  /** Plaintext bytes of every chunk but the last. */
  chunkSizeBytes: number
  chunkCount: number
}>

/**
 * Plaintext bytes of a chunk of a blob of `blobSizeBytes`: clamp(2^⌈log2(F / 4096)⌉, 64 KiB, 1 MiB).
 * @param blobSizeBytes whole number of bytes from 0
 */
export function chunkSizeFor(blobSizeBytes: number): number {
  assert(Number.isSafeInteger(blobSizeBytes) && blobSizeBytes >= 0, 'a size is a whole number')
  let sizeBytes = minChunkSizeBytes
  // Doubling instead of log2: exact for every integer.
  while (sizeBytes < maxChunkSizeBytes && sizeBytes * chunksAimed < blobSizeBytes) sizeBytes *= 2
  return sizeBytes
}

/** How a blob of `sizeBytes` is cut. A blob of 0 bytes is one chunk of 0 bytes and its tag. */
export function cutFor(sizeBytes: number): BlobCut {
  const chunkSizeBytes = chunkSizeFor(sizeBytes)
  return {
    sizeBytes,
    chunkSizeBytes,
    chunkCount: Math.max(1, Math.ceil(sizeBytes / chunkSizeBytes)),
  }
}

/** Plaintext bytes of chunk `index` of a blob. */
export function plainBytesOf(cut: BlobCut, index: number): number {
  assert(index >= 0 && index < cut.chunkCount, `no chunk ${index} of ${cut.chunkCount}`)
  return Math.min(cut.chunkSizeBytes, cut.sizeBytes - index * cut.chunkSizeBytes)
}

/** Bytes of chunk `index` as it travels and lies on disk: ciphertext and tag. */
export function travelBytesOf(cut: BlobCut, index: number): number {
  return plainBytesOf(cut, index) + tagBytes
}
