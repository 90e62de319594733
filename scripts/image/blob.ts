/**
 * A blob as registries have it: bytes under a digest. The bytes are read anew each time, from
 * memory, a file or a generator, so that an image of any size can be made and pushed in flat memory.
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { Readable } from 'node:stream'

export type Digest = `sha256:${string}`

export type Blob = Readonly<{
  mediaType: string
  digest: Digest
  sizeBytes: number
  /** The bytes, from the start; each call reads them again. */
  open(): Readable
}>

/** How a manifest names a blob or another manifest. */
export type Descriptor = Readonly<{ mediaType: string; digest: Digest; size: number }>

export function describe(blob: Blob): Descriptor {
  return { mediaType: blob.mediaType, digest: blob.digest, size: blob.sizeBytes }
}

export function blobOfBytes(mediaType: string, bytes: Uint8Array): Blob {
  return {
    mediaType,
    digest: sha256(bytes),
    sizeBytes: bytes.length,
    open: () => Readable.from([bytes]),
  }
}

/** JSON as a blob; the bytes sent are exactly those hashed. */
export function blobOfJson(mediaType: string, value: unknown): Blob {
  return blobOfBytes(mediaType, Buffer.from(JSON.stringify(value)))
}

export function blobOfFile(
  path: string,
  { mediaType, digest, sizeBytes }: Omit<Blob, 'open'>,
): Blob {
  return { mediaType, digest, sizeBytes, open: () => createReadStream(path) }
}

export function sha256(bytes: Uint8Array): Digest {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

/** Reads a stream to its end for its digest and length. */
export async function measure(
  bytes: Readable,
): Promise<{ readonly digest: Digest; readonly sizeBytes: number }> {
  const hash = createHash('sha256')
  let sizeBytes = 0
  for await (const chunk of bytes as AsyncIterable<Buffer>) {
    hash.update(chunk)
    sizeBytes += chunk.length
  }
  return { digest: `sha256:${hash.digest('hex')}`, sizeBytes }
}
