/**
 * A blob on its way from a registry into chunks: cut, hashed and sealed as it streams, one chunk
 * in memory at a time, however long the blob is.
 *
 * The last chunk is held back until the source has ended and both length and SHA-256 have been
 * found right. So a blob that has all of its chunks is a verified one, and bytes of a lying
 * registry never get a descriptor.
 */
import assert from 'node:assert/strict'
import { createHash, type Hash } from 'node:crypto'
import { errorCode } from '../errors.ts'
import type { Digest } from '../ids.ts'
import { blobIdFor, type ChunkPosition, chunkNameOf, openChunk, sealChunk } from './chunk-cipher.ts'
import { type BlobCut, cutFor, plainBytesOf } from './chunk-size.ts'
import { DigestMismatchError, SizeMismatchError } from './errors.ts'

/** What is known of a blob before it is read. */
export type BlobInit = Readonly<{
  /** The blob's key, 32 bytes. */
  key: Uint8Array
  /** The plaintext's digest, from the manifest. */
  digest: Digest
  /** The plaintext's length, from the manifest. */
  sizeBytes: number
}>

/** Where to go on: see {@link resumeFrom}. */
export type ResumePoint = Readonly<{
  /** The first chunk that is not held; the source starts at byte `fromChunk` × chunk size. */
  fromChunk: number
  /** Has been fed with all plaintext before that byte; it is consumed. */
  hash: Hash
}>

/** A chunk as it travels. */
export type SealedChunk = Readonly<{ index: number; bytes: Uint8Array; name: Uint8Array }>

/**
 * Seals a blob chunk by chunk, in order. The caller's pace is the source's (back-pressure).
 * @param source plaintext in pieces of any size, from the resume point on
 * @throws {SizeMismatchError} @throws {DigestMismatchError} before the last chunk comes out; what
 * came out before must be discarded, and the key with it.
 */
export async function* encryptBlob(
  source: AsyncIterable<Uint8Array>,
  { key, digest, sizeBytes, resume }: BlobInit & { readonly resume?: ResumePoint },
): AsyncGenerator<SealedChunk, void> {
  const cut = cutFor(sizeBytes)
  const blob = blobIdFor(key, digest, cut.chunkSizeBytes)
  const { fromChunk, hash } = resume ?? { fromChunk: 0, hash: createHash('sha256') }
  assert(fromChunk < cut.chunkCount, 'a blob whose chunks are all held needs no reading')
  const seal = (index: number, plaintext: Uint8Array): SealedChunk => {
    const bytes = sealChunk(key, { blob, index, count: cut.chunkCount }, plaintext)
    return { index, bytes, name: chunkNameOf(bytes) }
  }
  const cutter = createCutter(cut, fromChunk)
  for await (const piece of source) {
    hash.update(piece)
    for (const { index, plaintext } of cutter.push(piece)) yield seal(index, plaintext)
  }
  const last = cutter.end()
  const actual = `sha256:${hash.digest('hex')}`
  if (actual !== digest) throw new DigestMismatchError(digest, actual)
  yield seal(cut.chunkCount - 1, last)
}

/**
 * Where to go on with a blob of which chunks 0 to `heldCount` − 1 are held: they are opened and fed
 * to the hash again, since a hash cannot be stored. At one that rotted, it stops: go on from there.
 * @param read a held chunk as it travels
 * @throws {ChunkNotOpenedError} they were sealed under another key: discard them.
 */
export async function resumeFrom(
  { key, digest, sizeBytes }: BlobInit,
  { heldCount, read }: { readonly heldCount: number; read(index: number): Promise<Uint8Array> },
): Promise<ResumePoint> {
  const { chunkSizeBytes, chunkCount: count } = cutFor(sizeBytes)
  const blob = blobIdFor(key, digest, chunkSizeBytes)
  const hash = createHash('sha256')
  for (let index = 0; index < heldCount; index += 1) {
    const sealed = await readUnlessRotten(read, index)
    if (!sealed) return { fromChunk: index, hash }
    const position: ChunkPosition = { blob, index, count }
    hash.update(openChunk(key, position, sealed))
  }
  return { fromChunk: heldCount, hash }
}

async function readUnlessRotten(
  read: (index: number) => Promise<Uint8Array>,
  index: number,
): Promise<Uint8Array | undefined> {
  try {
    return await read(index)
  } catch (error) {
    if (errorCode(error) === 'CHUNK_ROTTEN') return undefined
    throw error
  }
}

/** Gathers pieces into chunks. It keeps the last chunk for `end`, and refuses a byte too many. */
function createCutter(cut: BlobCut, fromChunk: number) {
  let index = fromChunk
  let chunk = Buffer.alloc(plainBytesOf(cut, index))
  let filledBytes = 0
  return {
    *push(piece: Uint8Array): Generator<{ index: number; plaintext: Uint8Array }, void> {
      for (let at = 0; at < piece.length; ) {
        const takenBytes = Math.min(piece.length - at, chunk.length - filledBytes)
        if (takenBytes === 0) throw new SizeMismatchError(cut.sizeBytes, 'more bytes')
        chunk.set(piece.subarray(at, at + takenBytes), filledBytes)
        at += takenBytes
        filledBytes += takenBytes
        if (filledBytes < chunk.length || index === cut.chunkCount - 1) continue
        yield { index, plaintext: chunk }
        index += 1
        // Sealing copied the bytes: only the last, shorter chunk needs a buffer of its own.
        chunk = chunk.subarray(0, plainBytesOf(cut, index))
        filledBytes = 0
      }
    },
    end(): Uint8Array {
      const readBytes = index * cut.chunkSizeBytes + filledBytes
      if (readBytes < cut.sizeBytes)
        throw new SizeMismatchError(cut.sizeBytes, `${readBytes} bytes`)
      return chunk
    },
  }
}
