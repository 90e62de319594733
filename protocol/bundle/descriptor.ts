/**
 * The descriptor: what a bundle is. It lists blobs and the names of their chunks, and says nothing
 * of the image's name or of plaintext digests. It is named by the SHA-256 of its bytes, which the
 * coordinator signs into every allocation: who has the right name can check all the rest.
 *
 * Version 1 is deterministic CBOR (RFC 8949, section 4.2) of
 * `{ v: 1, blobs: [{ id: bytes(32), size, chunkSize, chunks: bytes(32 × count) }] }`:
 * the config first, then the layers from the bottom up, each blob once. One content has one
 * encoding: anything else, an unknown property included, is refused.
 */
import { hash } from 'node:crypto'
import Type from 'typebox'
import { PotluckError } from '../errors.ts'
import type { BlobId, BundleId } from '../ids.ts'
import { BytesSchema, CountSchema, createCodec } from '../wire/index.ts'
import { type BlobCut, cutFor } from './chunk-size.ts'
import { MalformedDescriptorError } from './errors.ts'

/** Docker's own limit is 127 layers; the config is one more. */
export const maxBlobs = 128
/**
 * 786,432 chunks: 48 GiB of image even where every blob is small and so cut by 64 KiB, which takes
 * 17 MB of names for the documented 35 GB.
 */
export const maxDescriptorBytes = 24 * 1024 * 1024
/** Plaintext bytes of all blobs; the documented maximum of an image is 35 GB. */
export const defaultMaxImageBytes = 64 * 2 ** 30

export type DescriptorBlob = BlobCut &
  Readonly<{
    id: BlobId
    /** SHA-256 of each chunk as it travels, 32 bytes each, in order. */
    names: Uint8Array
  }>

export type Descriptor = Readonly<{ blobs: readonly DescriptorBlob[] }>

const BlobSchema = Type.Object({
  id: BytesSchema(32, 32),
  size: CountSchema(),
  chunkSize: CountSchema(2 ** 20, 1),
  chunks: BytesSchema(32, maxDescriptorBytes),
})
const DescriptorSchema = Type.Object({
  v: Type.Literal(1),
  blobs: Type.Array(BlobSchema, { minItems: 1, maxItems: maxBlobs }),
})
const codec = createCodec('descriptor', DescriptorSchema, { maxBytes: maxDescriptorBytes })

export type DescriptorLimits = Readonly<{
  /** The most plaintext bytes of all blobs together. */
  maxImageBytes?: number
}>

/** The id of a bundle: lower-case hex SHA-256 of its descriptor's bytes. */
export function bundleIdOf(descriptorBytes: Uint8Array): BundleId {
  return hash('sha256', descriptorBytes, 'hex') as BundleId
}

/**
 * The one encoding of a descriptor. @param blobs the config first, then the layers bottom-up.
 * @throws {MalformedDescriptorError} it would not parse: no blob or too many, one listed twice,
 * sizes and names that do not agree, too long.
 */
export function encodeDescriptor(
  blobs: readonly Pick<DescriptorBlob, 'id' | 'sizeBytes' | 'chunkSizeBytes' | 'names'>[],
  limits: DescriptorLimits = {},
): Uint8Array {
  const bytes = encodeUnchecked(blobs)
  parseDescriptor(bytes, limits)
  return bytes
}

/**
 * Reads and checks a descriptor; whether it is the one wanted is for {@link bundleIdOf} to say.
 * The chunk names share memory with `bytes`.
 * @throws {MalformedDescriptorError} anything that {@link encodeDescriptor} would not have made.
 */
export function parseDescriptor(bytes: Uint8Array, limits: DescriptorLimits = {}): Descriptor {
  const { blobs: entries } = decodeEntries(bytes)
  const blobs = entries.map(({ id, size, chunkSize, chunks }, blobIndex): DescriptorBlob => {
    const cut = cutFor(size)
    if (chunkSize !== cut.chunkSizeBytes) {
      throw malformed(blobIndex, `is cut by ${chunkSize} bytes, not by ${cut.chunkSizeBytes}`)
    }
    if (chunks.length !== cut.chunkCount * 32) {
      throw malformed(blobIndex, `has ${chunks.length} bytes of names for ${cut.chunkCount} chunks`)
    }
    return { ...cut, id: Buffer.from(id).toString('hex') as BlobId, names: chunks }
  })
  const ids = new Set(blobs.map((blob) => blob.id))
  if (ids.size < blobs.length) throw new MalformedDescriptorError('a blob is listed twice')
  const { maxImageBytes = defaultMaxImageBytes } = limits
  const imageBytes = blobs.reduce((sum, blob) => sum + blob.sizeBytes, 0)
  if (imageBytes > maxImageBytes) {
    throw new MalformedDescriptorError(`${imageBytes} bytes of blobs; at most ${maxImageBytes}`)
  }
  // One content, one name: what CBOR leaves open (order of keys, unknown ones) is closed here.
  if (!Buffer.from(encodeUnchecked(blobs)).equals(bytes)) {
    throw new MalformedDescriptorError('not the deterministic encoding of what it says')
  }
  return { blobs }
}

function encodeUnchecked(
  blobs: readonly Pick<DescriptorBlob, 'id' | 'sizeBytes' | 'chunkSizeBytes' | 'names'>[],
): Uint8Array {
  const entries = blobs.map(({ id, sizeBytes, chunkSizeBytes, names }) => ({
    id: Uint8Array.from(Buffer.from(id, 'hex')),
    size: sizeBytes,
    chunkSize: chunkSizeBytes,
    chunks: names,
  }))
  try {
    return codec.encode({ v: 1, blobs: entries })
  } catch (cause) {
    throw asMalformed(cause)
  }
}

function decodeEntries(bytes: Uint8Array): Type.Static<typeof DescriptorSchema> {
  try {
    return codec.decode(bytes)
  } catch (cause) {
    throw asMalformed(cause)
  }
}

/** The codec's errors (malformed, too large) under the one code that readers of bundles handle. */
function asMalformed(cause: unknown): Error {
  if (!(cause instanceof PotluckError)) throw cause
  return new MalformedDescriptorError(cause.message, { cause })
}

function malformed(blobIndex: number, reason: string): MalformedDescriptorError {
  return new MalformedDescriptorError(`blob ${blobIndex} ${reason}`)
}
