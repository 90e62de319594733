/**
 * Plaintext of a blob while its chunks still arrive: what the node's endpoint serves to Docker. It
 * waits rather than fails, because a stalled body is tolerated and a broken one costs 5 s
 * (swarm.md 4), and it reads at the pace of its consumer, a few chunks in memory.
 */
import assert from 'node:assert/strict'
import { errorCode } from '../errors.ts'
import type { Run } from './bitfield.ts'
import { openChunk } from './chunk-cipher.ts'
import { travelBytesOf } from './chunk-size.ts'
import type { ChunkSource } from './chunk-source.ts'

/** Adjacent chunks are read at once, up to so much: a read alone costs more than its bytes. */
const readBytesMax = 256 * 1024

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
  const last = Math.ceil(endByte / blob.chunkSizeBytes) - 1
  for (let at = start; at < endByte; ) {
    const index = Math.floor(at / blob.chunkSizeBytes)
    await source.whenHeld(firstChunk + index, { signal })
    const run = heldRun(source, { first: firstChunk + index, last: firstChunk + last })
    const sealed = await readIfHeld(source, run, signal)
    if (!sealed) continue
    let from = 0
    for (let next = index; next < index + run.count; next++) {
      const chunk = sealed.subarray(from, from + travelBytesOf(blob, next))
      from += chunk.length
      const place = { blob: blob.id, index: next, count: blob.chunkCount }
      const plaintext = openChunk(key, place, chunk)
      const chunkStart = next * blob.chunkSizeBytes
      const piece = plaintext.subarray(at - chunkStart, endByte - chunkStart)
      at += piece.length
      yield piece
    }
  }
}

/** What is held from `first` on, at least that and as much as is read at once. */
function heldRun(
  { layout, held }: ChunkSource,
  { first, last }: { readonly first: number; readonly last: number },
): Run {
  let bytes = layout.locate(first).travelBytes
  let count = 1
  while (first + count <= last && held.has(first + count)) {
    bytes += layout.locate(first + count).travelBytes
    if (bytes > readBytesMax) break
    count += 1
  }
  return { start: first, count }
}

/** Undefined: between the wait and the read the disk turned out to have lost it. */
async function readIfHeld(
  source: ChunkSource,
  run: Run,
  signal: AbortSignal,
): Promise<Uint8Array | undefined> {
  signal.throwIfAborted()
  try {
    return await source.readRun(run, { signal })
  } catch (error) {
    const code = errorCode(error)
    if (code !== 'CHUNK_ROTTEN' && code !== 'CHUNK_NOT_HELD') throw error
    return undefined
  }
}
