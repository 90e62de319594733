/**
 * Bundles for tests: blobs of bytes drawn from a seed, sealed as ingest seals them, so that tests
 * of the store, the swarm and the endpoint start from the real format.
 */
import { createCipheriv, createHash, hash } from 'node:crypto'
import type { BlobId, BundleId, Digest } from '../ids.ts'
import { blobIdFor } from './chunk-cipher.ts'
import { cutFor } from './chunk-size.ts'
import { bundleIdOf, encodeDescriptor } from './descriptor.ts'
import { encryptBlob } from './encrypt-blob.ts'

export type SampleBlob = Readonly<{
  id: BlobId
  key: Uint8Array
  digest: Digest
  plaintext: Uint8Array
  sizeBytes: number
  chunkSizeBytes: number
  chunkCount: number
  names: Uint8Array
  /** As they travel, in order. */
  chunks: readonly Uint8Array[]
}>

export type SampleBundle = Readonly<{
  id: BundleId
  descriptorBytes: Uint8Array
  blobs: readonly SampleBlob[]
  /** By chunk number, as they travel. */
  chunks: readonly Uint8Array[]
}>

/** A blob of `sizeBytes` that do not compress; equal arguments give equal blobs. */
export async function sampleBlob(sizeBytes: number, seed = 'sample'): Promise<SampleBlob> {
  const key = createHash('sha256').update(`key of ${seed}`).digest()
  const bytesKey = createHash('sha256').update(`bytes of ${seed}`).digest()
  const plaintext = createCipheriv('aes-256-ctr', bytesKey, Buffer.alloc(16)).update(
    Buffer.alloc(sizeBytes),
  )
  const digest = `sha256:${hash('sha256', plaintext, 'hex')}` as Digest
  const chunks: Uint8Array[] = []
  const names: Uint8Array[] = []
  for await (const chunk of encryptBlob(inPieces(plaintext), { key, digest, sizeBytes })) {
    chunks.push(chunk.bytes)
    names.push(chunk.name)
  }
  const cut = cutFor(sizeBytes)
  const id = blobIdFor(key, digest, cut.chunkSizeBytes)
  return { ...cut, id, key, digest, plaintext, chunks, names: Buffer.concat(names) }
}

/** A bundle of blobs, of these sizes or as they are. */
export async function sampleBundle(
  blobs: readonly (number | SampleBlob)[],
  seed = 'sample',
): Promise<SampleBundle> {
  const sealed: SampleBlob[] = []
  for (const [place, blob] of blobs.entries()) {
    sealed.push(typeof blob === 'number' ? await sampleBlob(blob, `${seed} ${place}`) : blob)
  }
  const descriptorBytes = encodeDescriptor(sealed)
  const chunks = sealed.flatMap((blob) => blob.chunks)
  return { id: bundleIdOf(descriptorBytes), descriptorBytes, blobs: sealed, chunks }
}

/** Bytes as a network brings them: in pieces that end where they like. */
export async function* inPieces(
  bytes: Uint8Array,
  pieceBytes = 50_000,
): AsyncGenerator<Uint8Array, void> {
  for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes)
}
