/**
 * An image source without a network, for `--engine simulated` and for tests: any valid reference is
 * an image, small and always the same. The bytes come from a cipher keyed with the reference, so
 * that they neither compress nor repeat, as real layers do not.
 */
import assert from 'node:assert/strict'
import { createCipheriv, createHash } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { LRUCache } from 'lru-cache'
import Type from 'typebox'
import type { Digest } from '../../protocol/ids.ts'
import { collection, type Store } from '../../protocol/store/index.ts'
import { digestOf } from './digest.ts'
import { ImageSourceError } from './errors.ts'
import type { ImageSource, ResolvedBlob, ResolvedImage } from './image-source.ts'
import { formatReference, parseReference, repositoryOf } from './reference.ts'

const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json'
const CONFIG_TYPE = 'application/vnd.oci.image.config.v1+json'
const LAYER_TYPE = 'application/vnd.oci.image.layer.v1.tar'
const LAYER_BYTES_MIN = 512 * 1024
const PIECE_BYTES = 64 * 1024
/** Images whose bytes are kept; older ones are made again when their reference is resolved. */
const IMAGES_KEPT = 16

type Made = Readonly<{ image: ResolvedImage; blobs: ReadonlyMap<Digest, Uint8Array> }>

/** What an image is made of: enough to make it again. */
const NoteSchema = Type.Object({ repository: Type.String(), seed: Type.String() })

/**
 * Two or three layers, about 1 to 4 MB together. Tags of one repository share their first layer, as
 * versions of a program do. A digest that this source made names that image again; another digest
 * makes an image of its own, whose manifest then has a digest of its own.
 *
 * With a `store` it knows its images again after a restart, as a registry does: a cache that was
 * killed between resolve and read asks for blobs alone.
 */
export function createSimulatedSource({ store }: { readonly store?: Store } = {}): ImageSource {
  const notes = store && collection(store, 'simulated-images', NoteSchema)
  const images = new LRUCache<string, Made>({ max: IMAGES_KEPT })
  const seeds = new LRUCache<Digest, string>({ max: 1000 })

  async function blobBytes(repository: string, digest: Digest): Promise<Uint8Array | undefined> {
    for (const { image, blobs } of images.values()) {
      if (image.repository === repository && blobs.has(digest)) return blobs.get(digest)
    }
    for await (const [, note] of notes?.entries() ?? []) {
      if (note.repository !== repository) continue
      const made = makeImage(repository, note.seed)
      if (!made.blobs.has(digest)) continue
      images.set(`${repository} ${note.seed}`, made)
      return made.blobs.get(digest)
    }
    return undefined
  }

  return {
    async resolve(text, credentials, { signal }) {
      signal.throwIfAborted()
      const reference = parseReference(text)
      const repository = repositoryOf(reference)
      const { digest, tag = 'latest' } = reference
      const seed = digest === undefined ? tag : (seeds.get(digest) ?? digest)
      const key = `${repository} ${seed}`
      const made = images.get(key) ?? makeImage(repository, seed)
      images.set(key, made)
      seeds.set(made.image.manifestDigest, seed)
      await notes?.put(key, { repository, seed })
      return { ...made.image, reference: formatReference(reference), public: !credentials }
    },
    async *readBlob(repository, blob, _credentials, { fromByte, signal }) {
      const bytes = await blobBytes(repository, blob.digest)
      if (!bytes) throw notFound(repository, blob.digest)
      for (let at = fromByte; at < bytes.length; at += PIECE_BYTES) {
        await nextTurn()
        signal.throwIfAborted()
        yield bytes.subarray(at, at + PIECE_BYTES)
      }
    },
    async hasBlob(repository, digest, _credentials, { signal }) {
      signal.throwIfAborted()
      return (await blobBytes(repository, digest)) !== undefined
    },
    async close() {
      images.clear()
    },
  }
}

function makeImage(repository: string, seed: string): Made {
  const name = `${repository} ${seed}`
  const draw = createHash('sha256').update(name).digest()
  const layerBytes = (byte: number) => LAYER_BYTES_MIN + draw.readUInt16BE(byte) * 12
  const layers = [seededBytes(repository, LAYER_BYTES_MIN), seededBytes(`${name} 1`, layerBytes(0))]
  if (draw.readUInt8(2) % 2 === 0) layers.push(seededBytes(`${name} 2`, layerBytes(3)))
  const config = jsonBytes({
    architecture: 'amd64',
    os: 'linux',
    config: { Cmd: ['/simulated'], Labels: { 'dev.potluck.simulated': name } },
    rootfs: { type: 'layers', diff_ids: layers.map(digestOf) }, // tar without gzip: one digest
  })
  const describe = (bytes: Uint8Array, mediaType: string): ResolvedBlob => ({
    digest: digestOf(bytes),
    sizeBytes: bytes.length,
    mediaType,
  })
  const described = layers.map((bytes) => describe(bytes, LAYER_TYPE))
  const image = { config: describe(config, CONFIG_TYPE), layers: described }
  const wire = ({ digest, sizeBytes, mediaType }: ResolvedBlob) => ({
    mediaType,
    digest,
    size: sizeBytes,
  })
  const manifest = jsonBytes({
    schemaVersion: 2,
    mediaType: MANIFEST_TYPE,
    config: wire(image.config),
    layers: described.map(wire),
  })
  const all = [config, ...layers]
  return {
    image: {
      ...image,
      reference: name,
      repository,
      manifest,
      manifestDigest: digestOf(manifest),
      mediaType: MANIFEST_TYPE,
      sizeBytes: all.reduce((sum, { length }) => sum + length, 0),
      public: true,
    },
    blobs: new Map(all.map((bytes) => [digestOf(bytes), bytes])),
  }
}

/** AES-256-CTR's key stream under the hash of `seed`. */
function seededBytes(seed: string, sizeBytes: number): Uint8Array {
  const key = createHash('sha256').update(seed).digest()
  const bytes = createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(sizeBytes))
  assert(bytes.length === sizeBytes)
  return bytes
}

function jsonBytes(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value))
}

function notFound(repository: string, digest: Digest): ImageSourceError {
  return new ImageSourceError(
    'IMAGE_NOT_FOUND',
    `the simulated registry has no ${digest} of ${repository}`,
    {
      fields: { repository, digest },
    },
  )
}
