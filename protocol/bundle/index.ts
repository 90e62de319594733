/** The bundle format: how an image is cut, sealed, named and read. Pure; the disk is chunk-store/. */
export { Bitfield, type ReadonlyBitfield, type Run } from './bitfield.ts'
export { type BlobRange, readBlobRange } from './blob-reader.ts'
export {
  blobIdFor,
  blobKeyBytes,
  type ChunkPosition,
  chunkNameOf,
  openChunk,
  sealChunk,
} from './chunk-cipher.ts'
export {
  type BlobCut,
  chunkSizeFor,
  cutFor,
  maxChunkSizeBytes,
  maxTravelBytes,
  minChunkSizeBytes,
  plainBytesOf,
  tagBytes,
  travelBytesOf,
} from './chunk-size.ts'
export type { ChunkSource } from './chunk-source.ts'
export {
  bundleIdOf,
  type Descriptor,
  type DescriptorBlob,
  type DescriptorLimits,
  defaultMaxImageBytes,
  encodeDescriptor,
  maxBlobs,
  maxDescriptorBytes,
  parseDescriptor,
} from './descriptor.ts'
export {
  type BlobInit,
  encryptBlob,
  type ResumePoint,
  resumeFrom,
  type SealedChunk,
} from './encrypt-blob.ts'
export {
  ChunkNotOpenedError,
  DigestMismatchError,
  MalformedBitfieldError,
  MalformedDescriptorError,
  SizeMismatchError,
} from './errors.ts'
export {
  type BundleLayout,
  blobTravelBytes,
  type ChunkPlace,
  chunkNameBytes,
  createLayout,
} from './layout.ts'
