/**
 * An image into a bundle: its config first, then layers, three at a time; what the store holds is
 * not read again, what another ingest reads is waited for. The same request again costs nothing and
 * gives the same bundle, so whoever lost the answer just asks again.
 */
import { blobTravelBytes, cutFor, encodeDescriptor } from '../../protocol/bundle/index.ts'
import {
  BudgetExceededError,
  type BundleStore,
  type StoredBundle,
} from '../../protocol/chunk-store/index.ts'
import { errorCode, PotluckError } from '../../protocol/errors.ts'
import type { BlobId, BundleId } from '../../protocol/ids.ts'
import type { Logger } from '../../protocol/log/index.ts'
import type { ImageSource } from '../oci/index.ts'
import { type BlobOrigin, createBlobJobs, type KeyedBlob } from './blob-jobs.ts'
import { createPull, type Pull } from './pull.ts'
import { createReadPlaces } from './read-places.ts'

export type IngestRequest = BlobOrigin &
  Readonly<{
    /** In the descriptor's order: config, then layers from the bottom, each blob once. */
    blobs: readonly KeyedBlob[]
  }>

export type IngestResult = Readonly<{
  bundle: BundleId
  /** In the order of the request. */
  blobIds: readonly BlobId[]
  /** Read from the registry for this request; what one read serves is counted once. */
  registryBytes: number
}>

/** Plaintext bytes of the image: held, and all. */
export type IngestProgress = Readonly<{ bytesDone: number; bytesTotal: number }>

export type IngestOptions = Readonly<{
  /** Ends this caller's wait; reading goes on while another caller waits. */
  signal: AbortSignal
  /** Called once, with the way to ask how far it is. */
  onStart?: (progress: () => IngestProgress) => void
}>

export interface Ingester {
  /**
   * Reads, seals, stores and announces an image.
   * @throws {WrongBlobError} @throws {ImageSourceError} @throws {RegistryTooSlowError}
   * @throws {BudgetExceededError} it does not fit. @throws the signal's reason.
   */
  ingest(request: IngestRequest, options: IngestOptions): Promise<IngestResult>
  /** Bundles that are held whole and wanted. */
  bundles(): readonly BundleId[]
  /** No group refers to it any more: it is removed, but for blobs that other bundles list. */
  drop(bundle: BundleId): void
  /** Ends all reading. What was read is kept. */
  stop(): Promise<void>
}

export type IngesterInit = Readonly<{
  /** Blobs of one image read at once. */
  blobsPerImage?: number
  /** Blobs read at once over all images; a registry host gets at most half: `createReadPlaces`. */
  blobsMax?: number
  /** So many bytes a window of waiting, or the read is given up for now. */
  minProgressBytes?: number
  /** Instead, while others wait for a place or for the blob itself. */
  crowdedProgressBytes?: number
  minProgressMs?: number
}>

export type IngesterComponents = Readonly<{
  store: BundleStore
  source: ImageSource
  /** A bundle is here: tell the swarm and the DHT. */
  announce: (bundle: BundleId) => void
  /** Told of every byte that streamed by; see `createYoungCollector`. */
  onStreamed?: (bytes: number) => void
  logger: Logger
}>

/** How often a bundle may slip away (dropped, rotted) while it is put together. */
const attemptsMax = 3
const slippedCodes = new Set(['BLOB_REMOVED', 'BUNDLE_REMOVED', 'DRAFT_CLOSED', 'CHUNK_ROTTEN'])

/** What the store holds from before counts as wanted until somebody says otherwise. */
export function createIngester(init: IngesterInit, components: IngesterComponents): Ingester {
  const { blobsPerImage = 3, blobsMax = 12 } = init
  const { minProgressBytes = 256 << 10, minProgressMs = 120_000 } = init
  const { crowdedProgressBytes = Math.max(minProgressBytes, 4 << 20) } = init
  const { store, source, announce, logger } = components
  const jobs = createBlobJobs(
    {
      minBytes: minProgressBytes,
      crowdedMinBytes: crowdedProgressBytes,
      windowMs: minProgressMs,
    },
    {
      ...{ store, source, logger, onStreamed: components.onStreamed },
      places: createReadPlaces({ placesMax: blobsMax }),
    },
  )
  const wanted = new Set<BundleId>()
  const announced = new Set<BundleId>()
  const announceOnce = (bundle: BundleId): void => {
    if (announced.has(bundle)) return
    announced.add(bundle)
    announce(bundle)
  }
  const want = (bundle: BundleId): void => {
    wanted.add(bundle)
    store.pin(bundle)
  }
  for (const { id } of store.bundles()) want(id)

  /** The whole bundle, or undefined where part of it slipped away while it was put together. */
  const attempt = async (pull: Pull, signal: AbortSignal): Promise<StoredBundle | undefined> => {
    try {
      const finished = await pull.all()
      const stored = await store.add(encodeDescriptor(finished))
      want(stored.id)
      return stored.complete ? stored : undefined
    } catch (error) {
      if (signal.aborted || !slippedCodes.has(errorCode(error) ?? '')) throw error
      return undefined
    } finally {
      pull.release()
    }
  }
  return {
    async ingest(request, { signal, onStart }) {
      refuseWhatCannotFit(request, store)
      const pull = createPull(request, { jobs, blobsPerImage, signal })
      onStart?.(() => pull.progress())
      for (let attempts = 0; attempts < attemptsMax; attempts += 1) {
        const stored = await attempt(pull, signal)
        if (!stored) continue
        const { id: bundle, descriptor } = stored
        const { registryBytes } = pull
        announceOnce(bundle)
        logger.info({ bundle, registryBytes }, 'an image is here')
        return { bundle, blobIds: descriptor.blobs.map(({ id }) => id), registryBytes }
      }
      throw new PotluckError('BUNDLE_LOST', 'a bundle was removed while it was made; ask again')
    },
    bundles: () =>
      store.bundles().flatMap(({ id, complete }) => (complete && wanted.has(id) ? [id] : [])),
    drop(bundle) {
      wanted.delete(bundle)
      announced.delete(bundle)
      store.remove(bundle).catch((error: unknown) => {
        logger.warn({ bundle, error }, 'a bundle that no group needs could not be removed')
      })
    },
    stop: () => jobs.stop(),
  }
}

/** Told before anything is read. What is held counts as free: its room is taken already. */
function refuseWhatCannotFit({ blobs }: IngestRequest, { budgetBytes, usedBytes }: BundleStore) {
  const travelBytes = blobs.reduce(
    (sum, { sizeBytes }) => sum + blobTravelBytes(cutFor(sizeBytes)),
    0,
  )
  if (travelBytes > budgetBytes) throw new BudgetExceededError(travelBytes, usedBytes, budgetBytes)
}
