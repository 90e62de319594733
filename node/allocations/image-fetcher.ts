/**
 * An image on its way into this node's engine: chunks from the swarm into the store, and out of it
 * through the loopback endpoint (or streamed, where the engine cannot reach it) while more arrive.
 * One download a bundle is shared by all instances that want it, and it stays while one does.
 */
import type { ChunkSource } from '../../protocol/bundle/index.ts'
import type { BundleStore } from '../../protocol/chunk-store/index.ts'
import type { Clock } from '../../protocol/clock.ts'
import type { InstanceReport } from '../../protocol/control/index.ts'
import { PotluckError } from '../../protocol/errors.ts'
import type { BundleId, PeerId } from '../../protocol/ids.ts'
import type { Logger } from '../../protocol/log/index.ts'
import type { AllocationSecrets, PeerHint } from '../../protocol/orders/index.ts'
import type { Download, Swarm } from '../../protocol/swarm/index.ts'
import type { Signed } from '../../protocol/wire/index.ts'
import { openEndpoint, openPlainImage, type PlainImage } from '../endpoint/index.ts'
import type { Engine, ImageArchive } from '../engine/engine.ts'
import { askedFirst } from './asked-first.ts'

type Progress = Pick<
  InstanceReport,
  'bytesTotal' | 'bytesDone' | 'bytesFromCaches' | 'bytesFromPeers' | 'bytesServed'
>

export interface Transfer {
  progress(): Progress
  /**
   * Fetches the bundle and has the engine pull it; the engine's reference when both are done.
   * @throws what the swarm or the engine says; the signal's reason
   */
  pull(
    secrets: AllocationSecrets,
    options: { readonly signal: AbortSignal; readonly onUnpacking: () => void },
  ): Promise<string>
  /** This instance no longer needs the bundle: it may be evicted, is served until then. */
  release(): Promise<void>
}

export interface ImageFetcher {
  /** From now until its `release` the bundle is not evicted, whether it is here already or comes. */
  transfer(bundle: BundleId): Transfer
}

export type ImageFetcherComponents = Readonly<{
  swarm: Swarm
  store: BundleStore
  engine: Engine
  /** The newest ticket for a bundle. */
  ticketFor: (bundle: BundleId) => Signed
  /** Who may hold it, as the order says. */
  hintsFor: (bundle: BundleId) => readonly PeerHint[]
  isCache: (peer: PeerId) => boolean
  clock: Clock
  logger: Logger
}>

/** Fetches images for this node's instances. */
export function createImageFetcher(components: ImageFetcherComponents): ImageFetcher {
  const { swarm, store, engine, ticketFor, hintsFor, isCache, clock, logger } = components
  const users = new Map<BundleId, number>()

  const progressOf = (download: Download | undefined, servedBytes: number): Progress => {
    const now = download?.progress()
    const sum = { caches: 0, peers: 0 }
    for (const [peer, bytes] of now?.fromPeer ?? []) {
      if (isCache(peer)) sum.caches += bytes
      else sum.peers += bytes
    }
    return {
      bytesTotal: now?.bytesTotal ?? 0,
      bytesDone: now?.bytesDone ?? 0,
      bytesFromCaches: sum.caches,
      bytesFromPeers: sum.peers,
      bytesServed: servedBytes,
    }
  }

  const intoEngine = async (
    secrets: AllocationSecrets,
    source: ChunkSource,
    { signal, onServed }: { signal: AbortSignal; onServed: (bytes: number) => void },
  ): Promise<string> => {
    const plain = openPlainImage({ secrets, source, onServed })
    const image = secrets.manifestDigest
    if ((await engine.imageTransfer({ signal })) === 'load') {
      return await engine.load(archiveOf(plain, secrets), { signal })
    }
    const endpoint = await openEndpoint({ image, plain }, { logger })
    try {
      await engine.pull(endpoint.pull, { signal })
      return endpoint.pull.reference
    } finally {
      await endpoint.close()
    }
  }

  return {
    transfer(bundle) {
      let download: Download | undefined
      let servedBytes = 0
      let isUser = true
      users.set(bundle, (users.get(bundle) ?? 0) + 1)
      store.pin(bundle)
      return {
        progress: () => progressOf(download, servedBytes),
        async pull(secrets, { signal, onUnpacking }) {
          const failed = new AbortController()
          const both = AbortSignal.any([signal, failed.signal])
          const under = swarm.download({
            bundle,
            ticket: () => ticketFor(bundle),
            hints: hintsFor(bundle).map(({ peer, addrs }) => ({ peer, addresses: addrs })),
            signal: both,
          })
          download = under
          const fetched = under.done.then(() => onUnpacking())
          const pulled = under.descriptor.then((stored) => {
            const source = askedFirst(stored, { prefer: under.prefer, clock })
            const onServed = (bytes: number): void => {
              servedBytes += bytes
            }
            return intoEngine(secrets, source, { signal: both, onServed })
          })
          try {
            const [reference] = await Promise.all([pulled, fetched])
            return reference
          } catch (error) {
            failed.abort(error)
            await Promise.allSettled([pulled, fetched])
            throw error
          }
        },
        async release() {
          if (!isUser) return
          isUser = false
          const left = (users.get(bundle) ?? 1) - 1
          if (left > 0) users.set(bundle, left)
          else {
            users.delete(bundle)
            store.unpin(bundle)
          }
        },
      }
    },
  }
}

/** The image as an engine takes it that cannot pull. */
function archiveOf(
  plain: PlainImage,
  { manifest, manifestDigest }: Pick<AllocationSecrets, 'manifest' | 'manifestDigest'>,
): ImageArchive {
  return {
    image: manifestDigest,
    manifest,
    async *open(digest, { signal }) {
      const item = plain.items.get(digest)
      if (!item) throw new PotluckError('BUNDLE_MISMATCH', `blob ${digest} is not the order's`)
      yield* plain.read(item, { start: 0, end: item.sizeBytes }, signal)
    },
  }
}
