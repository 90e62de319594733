/**
 * An image as the tar stream that `docker load` takes, made while its blobs still arrive: nothing of
 * it lies in plain text on the node's own disk. Where the engine pulls it checks every digest by
 * itself; here that is done on the way, and a wrong byte breaks the stream off.
 */
import { createHash } from 'node:crypto'
import type { Readable } from 'node:stream'
import type { Digest } from '../../protocol/ids.ts'
import { type TarEntry, tarOf } from '../../protocol/tar/index.ts'
import type { ImageArchive } from './engine.ts'
import { EngineError } from './errors.ts'
import { type ImageBlob, type ImageManifest, parseImageManifest } from './image-manifest.ts'

/** A config is some kilobytes; an engine reads it into memory, and so do we. */
const configBytesMax = 8 << 20

export type ReadArchive = Readonly<{ manifest: ImageManifest; config: Buffer }>

/** Reads manifest and config. @throws {EngineError} LOAD_FAILED: they are not what they should be. */
export async function readArchive(
  archive: ImageArchive,
  options: { readonly signal: AbortSignal },
): Promise<ReadArchive> {
  const manifest = parseImageManifest(archive.manifest)
  if (!manifest || digestOf(archive.manifest) !== archive.image) {
    throw new EngineError('LOAD_FAILED', `the manifest is not that of ${archive.image}`)
  }
  const { config } = manifest
  if (config.size > configBytesMax) {
    throw new EngineError(
      'LOAD_FAILED',
      `a config of ${config.size} bytes; ${configBytesMax} at most`,
    )
  }
  const pieces: Uint8Array[] = []
  for await (const piece of verified(archive, config, options)) pieces.push(piece)
  return { manifest, config: Buffer.concat(pieces) }
}

export type ArchiveOptions = Readonly<{
  /** `name:tag`, under which the engine will know it. */
  reference: string
  /** So many layers from the bottom are left out: the engine has them. */
  layersHeld: number
  signal: AbortSignal
  onLayer?: (layersSent: number) => void
}>

/**
 * The archive as a stream (Docker's own layout: config, layers, `manifest.json`). It is destroyed
 * with an {@link EngineError} LOAD_FAILED where a blob's bytes have another digest.
 */
export function archiveStream(
  archive: ImageArchive,
  { manifest, config }: ReadArchive,
  { reference, layersHeld, signal, onLayer }: ArchiveOptions,
): Readable {
  const configName = `${hexOf(manifest.config.digest)}.json`
  const index = [
    { Config: configName, RepoTags: [reference], Layers: manifest.layers.map(layerName) },
  ]
  const entries: TarEntry[] = [
    { name: 'manifest.json', data: JSON.stringify(index) },
    { name: configName, data: config },
  ]
  const sent = new Set(manifest.layers.slice(0, layersHeld).map(layerName))
  manifest.layers.forEach((layer, number) => {
    const name = layerName(layer)
    if (sent.has(name)) return
    sent.add(name)
    entries.push({
      name,
      data: {
        sizeBytes: layer.size,
        async *open() {
          yield* verified(archive, layer, { signal })
          onLayer?.(number + 1)
        },
      },
    })
  })
  return tarOf(entries)
}

async function* verified(
  archive: ImageArchive,
  { digest, size }: ImageBlob,
  options: { readonly signal: AbortSignal },
): AsyncGenerator<Uint8Array, void> {
  const hash = createHash('sha256')
  let sizeBytes = 0
  for await (const piece of archive.open(digest, options)) {
    hash.update(piece)
    sizeBytes += piece.length
    if (sizeBytes > size) break
    yield piece
  }
  if (sizeBytes === size && `sha256:${hash.digest('hex')}` === digest) return
  throw new EngineError('LOAD_FAILED', `${digest}: the bytes have another digest`)
}

function layerName({ digest }: ImageBlob): string {
  return `${hexOf(digest)}/layer.tar`
}

function hexOf(digest: Digest): string {
  return digest.slice('sha256:'.length)
}

function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}
