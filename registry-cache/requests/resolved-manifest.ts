/** What a registry says an image is, as the coordinator is told. */
import type { ImageBlob, ResolvedManifest } from '../../protocol/control/index.ts'
import { ImageSourceError, type ResolvedImage } from '../oci/index.ts'

/** As the message has room for; larger ones exist in theory only. */
const manifestBytesMax = 262_144
/** Docker's 127 layers and the config. */
const blobsMax = 128

/** @throws {ImageSourceError} `MANIFEST_UNSUPPORTED`: more than an order can carry. */
export function resolvedManifest(image: ResolvedImage): ResolvedManifest {
  const { repository, manifest, manifestDigest, mediaType } = image
  const distinct = new Map([image.config, ...image.layers].map((blob) => [blob.digest, blob]))
  const blobs: ImageBlob[] = [...distinct.values()].map(
    ({ digest, sizeBytes, mediaType: type }) => ({
      digest,
      sizeBytes,
      mediaType: type,
    }),
  )
  if (manifest.length > manifestBytesMax || blobs.length > blobsMax) {
    const has = `${blobs.length} blobs and a manifest of ${manifest.length} bytes`
    throw new ImageSourceError(
      'MANIFEST_UNSUPPORTED',
      `${image.reference} has ${has}; at most ${blobsMax} and ${manifestBytesMax} are taken`,
      { fields: { image: image.reference } },
    )
  }
  return { repository, manifest, manifestDigest, mediaType, blobs, isPublic: image.public }
}
