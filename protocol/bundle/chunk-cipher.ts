/**
 * How a chunk is sealed: AES-256-GCM (NIST SP 800-38D) under the blob's key. A key seals one blob
 * once, so the deterministic nonce of section 8.2.1 serves: fixed field zero, invocation field the
 * chunk's index. The same blob read again gives the same chunks, hence the same names.
 *
 * What would break it: two different plaintexts under one key and index. So a key belongs to one
 * (digest, scope, chunk size), is dropped when the digest turns out wrong, and no descriptor is
 * made before the digest is verified (see encrypt-blob.ts).
 *
 * - nonce: the index as a 96-bit big-endian number
 * - additional data: blob id (32 bytes) ‖ index (u32 BE) ‖ count (u32 BE)
 * - a chunk as it travels: ciphertext ‖ tag (16 bytes), named by the SHA-256 of these bytes
 */
import assert from 'node:assert/strict'
import { createCipheriv, createDecipheriv, createHmac, hash } from 'node:crypto'
import type { BlobId, Digest } from '../ids.ts'
import { tagBytes } from './chunk-size.ts'
import { ChunkNotOpenedError } from './errors.ts'

export const blobKeyBytes = 32
const algorithm = 'aes-256-gcm'
const blobIdDomain = Buffer.from('potluck/blob-id/1\0', 'latin1')

/** The place of a chunk: what binds its bytes to one blob and one position in it. */
export type ChunkPosition = Readonly<{ blob: BlobId; index: number; count: number }>

/**
 * The id of a blob in a descriptor: HMAC-SHA256 (RFC 2104) under the blob's key of
 * `'potluck/blob-id/1' ‖ 0 ‖ digest (32 bytes) ‖ chunk size (u32 BE)`. Who lacks the key learns
 * nothing of the digest, not even by guessing it.
 */
export function blobIdFor(key: Uint8Array, digest: Digest, chunkSizeBytes: number): BlobId {
  assertKey(key)
  const tail = Buffer.alloc(36)
  tail.write(digest.slice('sha256:'.length), 'hex')
  tail.writeUInt32BE(chunkSizeBytes, 32)
  return createHmac('sha256', key).update(blobIdDomain).update(tail).digest('hex') as BlobId
}

/** The name of a chunk: SHA-256 (32 bytes) of what travels. */
export function chunkNameOf(travelling: Uint8Array): Buffer {
  return hash('sha256', travelling, 'buffer')
}

/** Seals the plaintext of one chunk; the result is `tagBytes` longer and travels as it is. */
export function sealChunk(
  key: Uint8Array,
  position: ChunkPosition,
  plaintext: Uint8Array,
): Uint8Array {
  assertKey(key)
  const cipher = createCipheriv(algorithm, key, nonceOf(position.index))
  cipher.setAAD(additionalData(position))
  // GCM is a stream mode: update gives all the bytes, final none.
  return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()])
}

/**
 * Opens one chunk as it travelled.
 * @throws {ChunkNotOpenedError} shorter than a tag; changed; of another key, blob, index or count.
 */
export function openChunk(
  key: Uint8Array,
  position: ChunkPosition,
  travelling: Uint8Array,
): Uint8Array {
  assertKey(key)
  const { index } = position
  const plainBytes = travelling.length - tagBytes
  if (plainBytes < 0) throw new ChunkNotOpenedError(index, `${travelling.length} bytes, no tag`)
  const decipher = createDecipheriv(algorithm, key, nonceOf(index), { authTagLength: tagBytes })
  decipher.setAAD(additionalData(position))
  decipher.setAuthTag(travelling.subarray(plainBytes))
  const plaintext = decipher.update(travelling.subarray(0, plainBytes))
  try {
    decipher.final()
  } catch (cause) {
    throw new ChunkNotOpenedError(index, 'its tag does not match', { cause })
  }
  return plaintext
}

function nonceOf(index: number): Uint8Array {
  const nonce = Buffer.alloc(12)
  nonce.writeUInt32BE(index, 8)
  return nonce
}

function additionalData({ blob, index, count }: ChunkPosition): Uint8Array {
  assert(blob.length === 64, 'a blob id is 64 hex digits')
  const data = Buffer.alloc(40)
  data.write(blob, 'hex')
  data.writeUInt32BE(index, 32)
  data.writeUInt32BE(count, 36)
  return data
}

function assertKey(key: Uint8Array): void {
  assert(key.length === blobKeyBytes, `a blob key has ${blobKeyBytes} bytes`)
}
