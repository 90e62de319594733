/**
 * An allocation's image in plain text, read out of encrypted chunks while they arrive. Whichever way
 * it goes to the engine, this is what it is read from, and nothing else of it is ever in the clear.
 */
import { type ChunkSource, readBlobRange } from '../../protocol/bundle/index.ts'
import { PotluckError } from '../../protocol/errors.ts'
import type { AllocationSecrets } from '../../protocol/orders/index.ts'
import type { Servable } from './answer.ts'

export type PlainImageInit = Readonly<{
  secrets: Pick<AllocationSecrets, 'manifest' | 'manifestDigest' | 'mediaType' | 'blobs'>
  /** The bundle's chunks; its blobs stand in the order of `secrets.blobs`. */
  source: ChunkSource
  /** Called with the number of plaintext bytes that went to the engine. */
  onServed?: (bytes: number) => void
}>

export interface PlainImage {
  /** Manifest, config and layers by digest. */
  readonly items: ReadonlyMap<string, Servable>
  /** Bytes `start` to before `end` of an item; waits for what has not arrived. */
  read(
    item: Servable,
    part: { readonly start: number; readonly end: number },
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array, void>
}

/** @throws {PotluckError} BUNDLE_MISMATCH: the descriptor is not of the blobs in the order. */
export function openPlainImage(init: PlainImageInit): PlainImage {
  const { secrets, source, onServed } = init
  return {
    items: itemsOf(init),
    async *read({ content }, { start, end }, signal) {
      if ('manifest' in content) {
        const bytes = content.manifest.subarray(start, end)
        onServed?.(bytes.length)
        yield bytes
        return
      }
      const { blobIndex } = content
      const key = secrets.blobs[blobIndex]?.key
      if (!key) throw new PotluckError('BUNDLE_MISMATCH', `no key for blob ${blobIndex}`)
      for await (const piece of readBlobRange(source, blobIndex, key, { start, end, signal })) {
        onServed?.(piece.length)
        yield piece
      }
    },
  }
}

function itemsOf({ secrets, source }: PlainImageInit): Map<string, Servable> {
  const items = new Map<string, Servable>()
  const cuts = source.layout.descriptor.blobs
  secrets.blobs.forEach((blob, blobIndex) => {
    const cut = cuts[blobIndex]
    if (cut?.id !== blob.id || cut.sizeBytes !== blob.sizeBytes) {
      throw new PotluckError('BUNDLE_MISMATCH', `blob ${blobIndex} is not the order's`)
    }
    items.set(blob.digest, {
      digest: blob.digest,
      sizeBytes: blob.sizeBytes,
      mediaType: 'application/octet-stream',
      content: { blobIndex },
    })
  })
  items.set(secrets.manifestDigest, {
    digest: secrets.manifestDigest,
    sizeBytes: secrets.manifest.length,
    mediaType: secrets.mediaType,
    content: { manifest: secrets.manifest },
  })
  return items
}
