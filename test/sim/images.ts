/** Images of a simulated node: a download takes its time once, then the bundle is on the disk. */
import type { ImageFetcher } from '../../node/allocations/index.ts'
import type { Engine } from '../../node/engine/index.ts'
import type { Clock } from '../../protocol/clock.ts'
import type { BundleId } from '../../protocol/ids.ts'

/** What the disk keeps over every life of the daemon. */
export type ImageShelf = Readonly<{ whole: Set<BundleId> }>

const imageBytes = 1e9

export function createSimImages(
  { downloadMs }: Readonly<{ downloadMs: number }>,
  { shelf, engine, clock }: Readonly<{ shelf: ImageShelf; engine: Engine; clock: Clock }>,
): ImageFetcher {
  return {
    transfer(bundle) {
      const done = (): number => (shelf.whole.has(bundle) ? imageBytes : 0)
      return {
        progress: () => ({
          ...{ bytesTotal: imageBytes, bytesDone: done(), bytesServed: done() },
          ...{ bytesFromCaches: 0, bytesFromPeers: done() },
        }),
        async pull({ manifestDigest }, { signal, onUnpacking }) {
          if (!shelf.whole.has(bundle)) await clock.sleep(downloadMs, { signal })
          shelf.whole.add(bundle)
          onUnpacking()
          const reference = `127.0.0.1:1/bundle@${manifestDigest}`
          await engine.pull({ reference, username: 'u', password: 'p' }, { signal })
          return reference
        },
        release: async () => undefined,
      }
    },
  }
}
