/** An image to be loaded, whose blobs may be spoiled: what the node streams into an engine. */
import { once } from 'node:events'
import { PotluckError } from '../../protocol/errors.ts'
import type { Digest } from '../../protocol/ids.ts'
import type { ImageArchive } from './engine.ts'
import { digestOf, type FakeImage } from './fake-endpoint.ts'

export type FakeArchive = ImageArchive &
  Readonly<{
    /** Digests of the blobs that were read, in order. */
    reads: readonly Digest[]
    spoil(blob: string, how: 'stall' | 'corrupt' | 'cut' | 'missing'): void
    /** Resolves when a spoiled blob has stalled. */
    stalled: Promise<void>
  }>

const pieceBytes = 16 << 10

export function fakeArchive(image: FakeImage): FakeArchive {
  const spoiled = new Map<string, string>()
  const reads: Digest[] = []
  const stalled = Promise.withResolvers<void>()
  return {
    image: digestOf(image.manifest),
    manifest: image.manifest,
    reads,
    spoil: (blob, how) => void spoiled.set(blob, how),
    stalled: stalled.promise,
    async *open(digest, { signal }) {
      const bytes = image.blobs.get(digest)
      const how = spoiled.get(digest)
      if (!bytes || how === 'missing') throw new PotluckError('TEST_MISSING', digest)
      reads.push(digest)
      for (let at = 0; at < bytes.length; at += pieceBytes) {
        const piece = Uint8Array.from(bytes.subarray(at, at + pieceBytes))
        if (how === 'corrupt') piece.fill(1)
        if (how && how !== 'corrupt' && at >= bytes.length / 2) {
          if (how === 'cut') return
          stalled.resolve()
          await once(signal, 'abort')
        }
        signal.throwIfAborted()
        yield piece
      }
    },
  }
}
