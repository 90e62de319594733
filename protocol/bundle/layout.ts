/**
 * The chunks of a bundle under one numbering: 0 is the first chunk of the first blob, and blobs
 * follow in the descriptor's order. Have-maps, requests and stores speak in these numbers, so that
 * a whole image is one bitfield.
 */
import assert from 'node:assert/strict'
import { type BlobCut, travelBytesOf } from './chunk-size.ts'
import type { Descriptor, DescriptorBlob } from './descriptor.ts'

/** Where a chunk number points. */
export type ChunkPlace = Readonly<{
  blob: DescriptorBlob
  /** The blob's place in the descriptor. */
  blobIndex: number
  /** The chunk's place in its blob. */
  index: number
  /** Bytes as they travel: ciphertext and tag. */
  travelBytes: number
}>

export interface BundleLayout {
  readonly descriptor: Descriptor
  readonly chunkCount: number
  /** All chunks as they travel, in bytes. */
  readonly travelBytes: number
  /** @param chunk a number from 0 below `chunkCount`; anything else is our bug. */
  locate(chunk: number): ChunkPlace
  /** The SHA-256 that names `chunk`: 32 bytes that share memory with the descriptor. */
  nameOf(chunk: number): Uint8Array
  /** The number of the first chunk of a blob; of `blobs.length`, the chunk count. */
  firstChunkOf(blobIndex: number): number
}

export const chunkNameBytes = 32

/** Bytes of a whole blob as it travels. */
export function blobTravelBytes(cut: BlobCut): number {
  const last = cut.chunkCount - 1
  return last * travelBytesOf(cut, 0) + travelBytesOf(cut, last)
}

/** Numbers the chunks of a descriptor. Finding a chunk's blob is a binary search. */
export function createLayout(descriptor: Descriptor): BundleLayout {
  const { blobs } = descriptor
  const firsts: number[] = [0]
  let travelBytes = 0
  for (const blob of blobs) {
    firsts.push((firsts.at(-1) ?? 0) + blob.chunkCount)
    travelBytes += blobTravelBytes(blob)
  }
  const firstChunkOf = (blobIndex: number): number => {
    const first = firsts[blobIndex]
    assert(first !== undefined, `no blob ${blobIndex} of ${blobs.length}`)
    return first
  }
  const chunkCount = firstChunkOf(blobs.length)

  const locate = (chunk: number): ChunkPlace => {
    // The sentence is made only when it is needed: this runs for every chunk that is chosen.
    if (!(Number.isInteger(chunk) && chunk >= 0 && chunk < chunkCount)) {
      assert.fail(`no chunk ${chunk} of ${chunkCount}`)
    }
    let low = 0
    let high = blobs.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (firstChunkOf(middle) <= chunk) low = middle
      else high = middle - 1
    }
    const blob = blobs[low]
    assert(blob)
    const index = chunk - firstChunkOf(low)
    return { blob, blobIndex: low, index, travelBytes: travelBytesOf(blob, index) }
  }
  return {
    descriptor,
    chunkCount,
    travelBytes,
    firstChunkOf,
    locate,
    nameOf(chunk) {
      const { blob, index } = locate(chunk)
      return blob.names.subarray(index * chunkNameBytes, (index + 1) * chunkNameBytes)
    },
  }
}
