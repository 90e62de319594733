/** Manifests as a cache would have resolved them, of images that no registry has. */
import { createHash } from 'node:crypto'
import type { ResolvedManifest } from '../../protocol/control/index.ts'
import type { Digest } from '../../protocol/ids.ts'

function digestOf(text: string): Digest {
  return `sha256:${createHash('sha256').update(text).digest('hex')}` as Digest
}

/** A public image of two small blobs, the same for the same reference. */
export function fakeImage(reference: string, isPublic = true): ResolvedManifest {
  const type = 'application/vnd.oci.image'
  const blobs = ['config', 'layer'].map((name) => ({
    digest: digestOf(`${reference} ${name}`),
    sizeBytes: 1_000,
    mediaType: `${type}.${name}`,
  }))
  return fakeImageOf(reference, blobs, isPublic)
}

/** An image of these blobs, config first. */
export function fakeImageOf(
  reference: string,
  blobs: ResolvedManifest['blobs'],
  isPublic = true,
): ResolvedManifest {
  const [config, ...layers] = blobs.map(({ digest, sizeBytes, mediaType }) => ({
    ...{ digest, mediaType, size: sizeBytes },
  }))
  const annotations = { reference }
  const manifest = Buffer.from(JSON.stringify({ schemaVersion: 2, config, layers, annotations }))
  return {
    repository: reference.split(':')[0] ?? reference,
    manifest: new Uint8Array(manifest),
    manifestDigest: digestOf(manifest.toString()),
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    blobs,
    isPublic,
  }
}
