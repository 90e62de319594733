/**
 * The reading of blobs, each by one job however many ingests want it. A job lives while somebody
 * holds it: reading stops when the last has left, and a finished blob is kept from eviction until
 * every holder has put it into its bundle. Without this a hundred groups would pull an image a
 * hundred times.
 *
 *     waiting ──▶ reading ──▶ done        all holders left: aborted, what was read is kept
 *        └───────────┴──────▶ failed      wrong bytes: what was read is discarded
 */
import assert from 'node:assert/strict'
import { blobIdFor, chunkSizeFor } from '../../protocol/bundle/index.ts'
import type { BlobDraft, BundleStore, FinishedBlob } from '../../protocol/chunk-store/index.ts'
import type { BlobId } from '../../protocol/ids.ts'
import type { Logger } from '../../protocol/log/index.ts'
import type { Credentials, ImageSource, ResolvedBlob } from '../oci/index.ts'
import { IngesterStoppedError, WrongBlobError } from './errors.ts'
import { openWhole, readIntoDraft } from './read-into-draft.ts'
import type { ReadPlaces } from './read-places.ts'

export type KeyedBlob = ResolvedBlob & Readonly<{ key: Uint8Array }>
/** Where a blob is read, and as whom. */
export type BlobOrigin = Readonly<{ repository: string; credentials: Credentials | undefined }>

/** One caller's hold on a blob. */
export interface BlobHold {
  readonly id: BlobId
  readonly done: Promise<FinishedBlob>
  /** Plaintext bytes held. */
  readonly bytesDone: number
  /** Who reads it; a fault may be this origin's alone. */
  readonly origin: BlobOrigin
  /** The whole plaintext, once `done`; for a config. @throws {DraftClosedError} */
  plaintext(): Promise<Uint8Array>
  /** Registry bytes that no holder has counted yet. */
  takeRegistryBytes(): number
  /** Lets go; the last one ends the job. Twice is harmless. */
  release(): void
}

export type BlobJobsInit = Readonly<{
  /** So many bytes a window must come. */
  minBytes: number
  /** Instead of `minBytes`, while others wait for a place or for this very blob. */
  crowdedMinBytes: number
  windowMs: number
}>
export type BlobJobsComponents = Readonly<{
  store: BundleStore
  source: ImageSource
  /** Bounds what is read at once over all images. */
  places: ReadPlaces
  onStreamed: ((bytes: number) => void) | undefined
  logger: Logger
}>

type Job = {
  readonly origin: BlobOrigin
  readonly controller: AbortController
  readonly done: Promise<FinishedBlob>
  /** Resolves when the job does nothing any more. */
  readonly settled: Promise<void>
  readonly key: Uint8Array
  draft: BlobDraft | undefined
  /** Somebody waits for it who would read it from another host. */
  shared: boolean
  holders: number
  bytesDone: number
  registryBytes: number
}

export interface BlobJobs {
  hold(blob: KeyedBlob, origin: BlobOrigin): BlobHold
  /** Ends all jobs and waits for them. */
  stop(): Promise<void>
}

export function createBlobJobs(init: BlobJobsInit, components: BlobJobsComponents): BlobJobs {
  const { store, places } = components
  const jobs = new Map<BlobId, Job>()
  /** Every job that still does something, also those that were replaced. */
  const running = new Set<Promise<void>>()
  let stopped = false

  const begin = (id: BlobId, blob: KeyedBlob, origin: BlobOrigin): Job => {
    const before = jobs.get(id)?.settled
    const controller = new AbortController()
    const { signal } = controller
    // A copy: the request that brought the key may end, and wipe it, before this job does.
    const key = Uint8Array.from(blob.key)
    let isRetried = false
    const work = async (): Promise<FinishedBlob> => {
      await before
      signal.throwIfAborted()
      const host = hostOf(origin)
      const events = {
        onHeld: (bytes: number) => {
          job.bytesDone = bytes
        },
        onRead: (bytes: number) => {
          job.registryBytes += bytes
          components.onStreamed?.(bytes)
        },
      }
      const minBytes = (): number =>
        job.shared || places.othersWait(host) ? init.crowdedMinBytes : init.minBytes
      for (;;) {
        job.draft = await store.createBlobDraft(id, blob.sizeBytes, chunkSizeFor(blob.sizeBytes))
        const { draft } = job
        const isResumed = draft.heldCount > 0
        const part = { blob: { ...blob, key }, draft, signal, ...origin }
        try {
          await readIntoDraft({ ...part, minBytes, windowMs: init.windowMs }, components, events)
          return await draft.finish()
        } catch (error) {
          if (!(error instanceof WrongBlobError && isResumed) || isRetried) throw error
          // Another's registry may have sent what the draft began with: before anyone is blamed,
          // this one is asked for all of it.
          isRetried = true
          await draft.discard()
          signal.throwIfAborted()
        }
      }
    }
    const done = places.run(hostOf(origin), work, signal)
    const settled = done.then(
      () => undefined,
      async (error: unknown) => {
        if (jobs.get(id) === job) jobs.delete(id)
        await closeDraft(job.draft, error, components.logger)
        key.fill(0)
      },
    )
    const job: Job = {
      ...{ origin, controller, done, settled, key },
      draft: undefined,
      shared: false,
      ...{ holders: 0, bytesDone: 0, registryBytes: 0 },
    }
    jobs.set(id, job)
    running.add(settled)
    void settled.finally(() => running.delete(settled))
    return job
  }
  const letGo = (id: BlobId, job: Job): void => {
    job.holders -= 1
    if (job.holders > 0) return
    job.controller.abort(new IngesterStoppedError())
    job.done.then(
      async () => {
        if (job.holders > 0) return
        if (jobs.get(id) === job) jobs.delete(id)
        await job.draft?.release()
        job.key.fill(0)
      },
      () => undefined,
    )
  }
  return {
    hold(blob, origin) {
      if (stopped) throw new IngesterStoppedError()
      const id = blobIdFor(blob.key, blob.digest, chunkSizeFor(blob.sizeBytes))
      const known = jobs.get(id)
      const job = known && !known.controller.signal.aborted ? known : begin(id, blob, origin)
      job.holders += 1
      job.shared ||= hostOf(job.origin) !== hostOf(origin)
      let held = true
      return {
        id,
        done: job.done,
        origin: job.origin,
        get bytesDone() {
          return job.bytesDone
        },
        async plaintext() {
          await job.done
          assert(job.draft, 'a job that is done has a draft')
          return await openWhole({ ...blob, key: job.key }, job.draft)
        },
        takeRegistryBytes() {
          const { registryBytes } = job
          job.registryBytes = 0
          return registryBytes
        },
        release() {
          if (!held) return
          held = false
          letGo(id, job)
        },
      }
    },
    async stop() {
      stopped = true
      for (const job of jobs.values()) job.controller.abort(new IngesterStoppedError())
      while (running.size > 0) await Promise.all(running)
    },
  }
}

/** The registry's host: the first part of a resolved repository. */
function hostOf({ repository }: BlobOrigin): string {
  return repository.slice(0, repository.indexOf('/'))
}

/** A fault keeps what was read, to be gone on with; wrong bytes do not deserve it. */
async function closeDraft(
  draft: BlobDraft | undefined,
  error: unknown,
  logger: Logger,
): Promise<void> {
  try {
    if (error instanceof WrongBlobError) await draft?.discard()
    else await draft?.release()
  } catch (cause) {
    logger.warn({ error: cause }, 'the draft of a blob could not be closed')
  }
}
