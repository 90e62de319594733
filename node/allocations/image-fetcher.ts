/**
 * An image on its way into this node's engine: chunks from the swarm into the store, and out of it
 * through the loopback endpoint while more arrive. One transfer a bundle is shared by all instances
 * that want it.
 */

import type { BundleStore, StoredBundle } from '../../protocol/chunk-store/index.ts'
import type { InstanceReport } from '../../protocol/control/index.ts'
import type { BundleId, PeerId } from '../../protocol/ids.ts'
import type { Logger } from '../../protocol/log/index.ts'
import type { AllocationSecrets, PeerHint } from '../../protocol/orders/index.ts'
import type { Download, Swarm } from '../../protocol/swarm/index.ts'
import type { Signed } from '../../protocol/wire/index.ts'
import { openEndpoint } from '../endpoint/index.ts'
import type { Engine } from '../engine/engine.ts'

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
  logger: Logger
}>

/** Fetches images for this node's instances. */
export function createImageFetcher(components: ImageFetcherComponents): ImageFetcher {
  const { swarm, store, engine, ticketFor, hintsFor, isCache, logger } = components
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

  const enginePull = async (
    secrets: AllocationSecrets,
    source: StoredBundle,
    options: { readonly signal: AbortSignal; readonly onServed: (bytes: number) => void },
  ): Promise<string> => {
    const endpoint = await openEndpoint({ secrets, source, onServed: options.onServed }, { logger })
    try {
      await engine.pull(endpoint.pull, { signal: options.signal })
      return endpoint.pull.reference
    } finally {
      await endpoint.close()
    }
  }

  return {
    transfer(bundle) {
      let download: Download | undefined
      let servedBytes = 0
      let isUser = false
      return {
        progress: () => progressOf(download, servedBytes),
        async pull(secrets, { signal, onUnpacking }) {
          if (!isUser) users.set(bundle, (users.get(bundle) ?? 0) + 1)
          isUser = true
          const failed = new AbortController()
          const both = AbortSignal.any([signal, failed.signal])
          download = swarm.download({
            bundle,
            ticket: () => ticketFor(bundle),
            hints: hintsFor(bundle).map(({ peer, addrs }) => ({ peer, addresses: addrs })),
            signal: both,
          })
          const fetched = download.done.then(() => onUnpacking())
          const pulled = download.descriptor.then((stored) => {
            store.pin(bundle)
            return enginePull(secrets, stored, {
              signal: both,
              onServed: (bytes) => {
                servedBytes += bytes
              },
            })
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
