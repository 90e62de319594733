/**
 * Layers: tar archives, gzipped, with both digests that an image needs (of what travels, and of
 * what is unpacked). No `docker build`: it would need an engine, and could not make odd images.
 */
import { createCipheriv, createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { type Readable, Transform } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { type TarEntry, tarOf } from '../../protocol/tar/index.ts'
import { type Blob, blobOfBytes, blobOfFile, type Digest, measure } from './blob.ts'
import { mediaTypes } from './media-types.ts'

/** A blob whose `diffId` is the digest of its tar before compression. */
export type Layer = Blob & Readonly<{ diffId: Digest }>

/** Compression costs more than loopback saves: 1 is a third of 6's time for 6% more bytes. */
const gzipLevel = 1

/** A small layer, in memory. Parent folders need no entries of their own. */
export async function layerOfEntries(entries: readonly TarEntry[]): Promise<Layer> {
  const [hashed, diffId] = hashing()
  const gzip = createGzip({ level: gzipLevel })
  const [bytes] = await Promise.all([buffer(gzip), pipeline(tarOf(entries), hashed, gzip)])
  return { ...blobOfBytes(mediaTypes.oci.layer, bytes), diffId: diffId() }
}

/** A layer of a tar stream, gzipped into `file`. */
export async function layerOfTar(
  tar: Readable,
  file: string,
  { signal }: { readonly signal?: AbortSignal } = {},
): Promise<Layer> {
  const [plain, diffId] = hashing()
  const [packed, digest] = hashing()
  const out = createWriteStream(file)
  await pipeline(tar, plain, createGzip({ level: gzipLevel }), packed, out, { signal })
  const sizeBytes = out.bytesWritten
  const blob = { mediaType: mediaTypes.oci.layer, digest: digest(), sizeBytes }
  return { ...blobOfFile(file, blob), diffId: diffId() }
}

/**
 * A layer of random bytes that no compression shrinks, made again from `seed` whenever it is read:
 * any size, no disk, no memory. `canary` stands in a file of its own, `/canary`.
 */
export async function randomLayer({
  sizeBytes,
  seed,
  canary = '',
  path = `random/${seed}`,
}: {
  readonly sizeBytes: number
  readonly seed: string
  readonly canary?: string
  readonly path?: string
}): Promise<Layer> {
  const tar = (): Readable =>
    tarOf([
      { name: 'canary', data: canary },
      { name: path, data: { sizeBytes, open: () => randomBytes(seed, sizeBytes) } },
    ])
  const open = (): Readable => {
    const gzip = createGzip({ level: 0 })
    pipeline(tar(), gzip).catch((error: Error) => gzip.destroy(error))
    return gzip
  }
  const [{ digest: diffId }, travelling] = await Promise.all([measure(tar()), measure(open())])
  return { mediaType: mediaTypes.oci.layer, ...travelling, diffId, open }
}

/** AES-256 in counter mode over zeroes: fast, and the same for the same seed. */
async function* randomBytes(seed: string, sizeBytes: number): AsyncGenerator<Buffer> {
  const key = createHash('sha256').update(seed).digest()
  const cipher = createCipheriv('aes-256-ctr', key, Buffer.alloc(16))
  const zeroes = Buffer.alloc(256 * 1024)
  for (let left = sizeBytes; left > 0; left -= zeroes.length) {
    yield cipher.update(zeroes.subarray(0, Math.min(left, zeroes.length)))
  }
}

function hashing(): [Transform, () => Digest] {
  const hash = createHash('sha256')
  const through = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk)
      done(null, chunk)
    },
  })
  return [through, () => `sha256:${hash.digest('hex')}`]
}
