/**
 * Images and image indexes over layers, in OCI's or Docker's media types, as
 * opencontainers/image-spec v1.1 (manifest.md, config.md, image-index.md) has them.
 */
import { type Blob, blobOfJson, type Digest, describe } from './blob.ts'
import type { Layer } from './layer.ts'
import { type ImageFormat, mediaTypes } from './media-types.ts'

export type Platform = Readonly<{ os: string; architecture: string; variant?: string }>

/** What a container starts with; Docker's names. */
export type ImageConfig = Readonly<{
  Cmd?: readonly string[]
  Entrypoint?: readonly string[]
  Env?: readonly string[]
  WorkingDir?: string
  User?: string
  ExposedPorts?: Readonly<Record<string, Record<string, never>>>
  Labels?: Readonly<Record<string, string>>
  Volumes?: Readonly<Record<string, Record<string, never>>>
}>

export type ImageInit = Readonly<{
  /** Bottom first. */
  layers: readonly Layer[]
  config?: ImageConfig
  format?: ImageFormat
  /** linux/amd64 when left out. */
  platform?: Platform
}>

export type Image = Readonly<{
  kind: 'image'
  platform: Platform
  manifest: Blob
  config: Blob
  layers: readonly Layer[]
  /** The manifest's. */
  digest: Digest
  /** Of all distinct blobs (config and layers) as they travel; not the manifest. */
  blobBytes: number
}>

export type ImageIndex = Readonly<{
  kind: 'index'
  manifest: Blob
  images: readonly Image[]
  digest: Digest
}>

export function buildImage({
  layers,
  config = {},
  format = 'oci',
  platform = { os: 'linux', architecture: 'amd64' },
}: ImageInit): Image {
  const types = mediaTypes[format]
  const configBlob = blobOfJson(types.config, {
    created: '2025-01-01T00:00:00Z',
    ...platform,
    config,
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    history: layers.map(() => ({ created: '2025-01-01T00:00:00Z', created_by: 'potluck' })),
  })
  const typed = layers.map((layer) => ({ ...layer, mediaType: types.layer }))
  const manifest = blobOfJson(types.manifest, {
    schemaVersion: 2,
    mediaType: types.manifest,
    config: describe(configBlob),
    layers: typed.map(describe),
  })
  return {
    kind: 'image',
    platform,
    manifest,
    config: configBlob,
    layers: typed,
    digest: manifest.digest,
    blobBytes: totalBytes([configBlob, ...typed]),
  }
}

export function buildIndex(images: readonly Image[], format: ImageFormat = 'oci'): ImageIndex {
  const type = mediaTypes[format].index
  const manifest = blobOfJson(type, {
    schemaVersion: 2,
    mediaType: type,
    manifests: images.map((image) => ({ ...describe(image.manifest), platform: image.platform })),
  })
  return { kind: 'index', manifest, images, digest: manifest.digest }
}

function totalBytes(blobs: readonly Blob[]): number {
  const sizes = new Map(blobs.map(({ digest, sizeBytes }) => [digest, sizeBytes]))
  return [...sizes.values()].reduce((sum, sizeBytes) => sum + sizeBytes, 0)
}
