/**
 * Plaintext of a blob while its chunks still arrive: what the node's endpoint serves to Docker. It
 * waits rather than fails, because a stalled body is tolerated and a broken one costs 5 s
 * (swarm.md 4), and it reads at the pace of its consumer, one chunk in memory.
 */
import assert from 'node:assert/strict'
import { errorCode } from '../errors.ts'
import { openChunk } from './chunk-cipher.ts'
import type { ChunkSource } from './chunk-source.ts'

export type BlobRange = Readonly<{
  /** The first byte of plaintext, from 0. */
  start?: number
  /** The byte after the last; the blob's length when left out. */
  end?: number
  /** Ends a wait for a chunk. */
  signal: AbortSignal
}>

/**
 * The bytes `start` to before `end` of a blob's plaintext, in pieces of at most a chunk.
 * A chunk that rotted on disk is waited for again.
 * @throws the signal's reason; {ChunkNotOpenedError} the key is another blob's; the source's errors
 */
export async function* readBlobRange(
  source: ChunkSource,
  blobIndex: number,
  key: Uint8Array,
  { start = 0, end, signal }: BlobRange,
): AsyncGenerator<Uint8Array, void> {
  const { layout } = source
  const blob = layout.descriptor.blobs[blobIndex]
  assert(blob, `no blob ${blobIndex} in this bundle`)
  const endByte = end ?? blob.sizeBytes
  assert(start >= 0 && start <= endByte && endByte <= blob.sizeBytes, 'a range lies in its blob')
  const firstChunk = layout.firstChunkOf(blobIndex)
  for (let at = start; at < endByte; ) {
    const index = Math.floor(at / blob.chunkSizeBytes)
    const sealed = await readWhenHeld(source, firstChunk + index, signal)
    const plaintext = openChunk(key, { blob: blob.id, index, count: blob.chunkCount }, sealed)
    const chunkStart = index * blob.chunkSizeBytes
    const piece = plaintext.subarray(at - chunkStart, endByte - chunkStart)
    at += piece.length
    yield piece
  }
}

async function readWhenHeld(
  source: ChunkSource,
  chunk: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  for (;;) {
    signal.throwIfAborted()
    await source.whenHeld(chunk, { signal })
    try {
      return await source.read(chunk, { signal })
    } catch (error) {
      // Between the wait and the read the disk may turn out to have lost it: wait for another copy.
      const code = errorCode(error)
      if (code !== 'CHUNK_ROTTEN' && code !== 'CHUNK_NOT_HELD') throw error
    }
  }
}
