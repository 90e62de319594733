/**
 * From a group's reference to a bundle that a cache holds whole. Level-triggered: `tend` is called
 * again and again with the groups there are, and starts what is missing. Each question is asked
 * once however many groups want its answer: one resolve per reference and credentials, one ingest
 * per image and scope (bundle.md, "One pull").
 */
import { createHash } from 'node:crypto'
import { blobIdFor, chunkSizeFor } from '../../protocol/bundle/index.ts'
import type { Fault, RegistryCredentials, ResolvedManifest } from '../../protocol/control/index.ts'
import { describeError, errorCode } from '../../protocol/errors.ts'
import type { BlobId, BundleId, Digest, GroupId } from '../../protocol/ids.ts'
import type { Logger } from '../../protocol/log/index.ts'
import type { AllocationSecrets } from '../../protocol/orders/index.ts'
import { collection, type Store } from '../../protocol/store/index.ts'
import type { GroupRecord, Groups, ImageView } from '../groups/index.ts'
import type { Sessions } from '../sessions/index.ts'
import type { BlobKeys } from './blob-keys.ts'
import type { CacheDesk } from './cache-desk.ts'
import { ImageFaultError, isFinalFault } from './errors.ts'
import {
  type BundleRecord,
  BundleRecordSchema,
  type GroupImage,
  GroupImageSchema,
  networkScope,
} from './records.ts'

export interface Images {
  /** Looks after every group's image; cheap when there is nothing to do. */
  tend(groups: readonly GroupRecord[], inUse: ReadonlySet<BundleId>): void
  /** The bundle of the group's newest version, once a cache has it. */
  bundleOf(group: GroupRecord): BundleId | undefined
  bundle(id: BundleId): BundleRecord | undefined
  /** The blobs with their keys, for an allocation. @throws {SecretUnreadableError} */
  openBlobs(record: BundleRecord): AllocationSecrets['blobs'] | undefined
  view(group: GroupId): ImageView | undefined
  /** Ends what is under way. */
  stop(): Promise<void>
}

export type ImagesComponents = Readonly<{
  store: Store
  keys: BlobKeys
  desk: CacheDesk
  sessions: Pick<Sessions, 'caches' | 'nodes' | 'send'>
  groups: Pick<Groups, 'openCredentials' | 'dropCredentials' | 'byId'>
  /** Coordinator's time. */
  nowMs: () => number
  /** A group's image changed. */
  onChange: () => void
  logger: Logger
}>

/** What is going on with one group's image; only what must outlive a crash is in `record`. */
type Work = {
  record: GroupImage
  /** What `fault` is about: a start, a new version or new credentials try again. */
  triedFor: string
  busy: boolean
  attempts: number
  retryAtMs: number
  fault: Fault | undefined
  isFinal: boolean
  /** Of the ingest that it waits for, shared by all that wait. */
  progress: Progress
}

type Progress = { bytesDone: number }

const retryMinMs = 1_000
const retryMaxMs = 60_000
/** Groups that come within this of each other share one answer about a tag. */
const resolvedForMs = 5_000
/** A bundle that no record explains is dropped by its holders after this: no race with ingest. */
const strangeMs = 10_000

export async function openImages(components: ImagesComponents): Promise<Images> {
  const { store } = components
  const bundleRecords = collection(store, 'bundles', BundleRecordSchema)
  const groupRecords = collection(store, 'group-images', GroupImageSchema)
  const book = new ImageBook(components, bundleRecords, groupRecords)
  for await (const [, record] of bundleRecords.entries()) book.loadBundle(record)
  for await (const [, record] of groupRecords.entries()) book.loadGroup(record)
  return book
}

type Records<V> = ReturnType<typeof collection> & { put(key: string, value: V): Promise<void> }

class ImageBook implements Images {
  readonly #parts: ImagesComponents
  readonly #bundleRecords: Records<BundleRecord>
  readonly #groupRecords: Records<GroupImage>
  readonly #bundles = new Map<BundleId, BundleRecord>()
  readonly #byImage = new Map<string, BundleRecord>()
  readonly #works = new Map<GroupId, Work>()
  readonly #resolving = new Map<string, Promise<ResolvedManifest>>()
  readonly #ingesting = new Map<string, { done: Promise<BundleRecord>; progress: Progress }>()
  readonly #strangers = new Map<string, number>()
  readonly #running = new Set<Promise<void>>()
  readonly #stopped = new AbortController()

  constructor(
    parts: ImagesComponents,
    bundleRecords: Records<BundleRecord>,
    groupRecords: Records<GroupImage>,
  ) {
    this.#parts = parts
    this.#bundleRecords = bundleRecords
    this.#groupRecords = groupRecords
  }

  loadBundle(record: BundleRecord): void {
    this.#bundles.set(record.bundle, record)
    this.#byImage.set(imageKey(record.scope, record.manifestDigest), record)
  }

  loadGroup(record: GroupImage): void {
    this.#works.set(record.group, newWork(record))
  }

  tend(groups: readonly GroupRecord[], inUse: ReadonlySet<BundleId>): void {
    if (this.#stopped.signal.aborted) return
    const live = new Set<GroupId>()
    for (const group of groups) {
      if (group.deletedMs !== undefined) continue
      live.add(group.id)
      this.#tendGroup(group)
    }
    for (const [id, { busy }] of this.#works) {
      if (live.has(id) || busy) continue
      this.#works.delete(id)
      this.#track(this.#groupRecords.delete(id))
    }
    this.#collect(inUse)
  }

  bundleOf({ id, version, container }: GroupRecord): BundleId | undefined {
    const record = this.#works.get(id)?.record
    return record?.version === version && record.reference === container.image
      ? record.bundle
      : undefined
  }

  bundle(id: BundleId): BundleRecord | undefined {
    return this.#bundles.get(id)
  }

  openBlobs({ scope, blobs }: BundleRecord): AllocationSecrets['blobs'] | undefined {
    const opened = blobs.map((blob) => ({ ...blob, key: this.#parts.keys.open(scope, blob) }))
    const isWhole = (blob: (typeof opened)[number]): blob is AllocationSecrets['blobs'][number] =>
      blob.key !== undefined
    return opened.every(isWhole) ? opened : undefined
  }

  view(group: GroupId): ImageView | undefined {
    const work = this.#works.get(group)
    if (!work) return undefined
    const { record, fault, isFinal, progress } = work
    const digest = record.resolved?.manifestDigest
    const bytesTotal =
      record.resolved?.blobs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) ?? 0
    const known = digest === undefined ? {} : { digest }
    if (record.bundle) {
      const event = fault?.code === 'REGISTRY_CREDENTIALS_NEEDED' ? { fault } : {}
      return { state: 'ready', bytesDone: bytesTotal, bytesTotal, ...known, ...event }
    }
    return {
      state: isFinal ? 'failed' : 'preparing',
      bytesDone: Math.min(progress.bytesDone, bytesTotal),
      bytesTotal,
      ...known,
      ...(fault ? { fault } : {}),
    }
  }

  async stop(): Promise<void> {
    this.#stopped.abort(new Error('the coordinator stops'))
    await Promise.allSettled(this.#running)
  }

  #tendGroup(group: GroupRecord): void {
    const { id, version, container } = group
    // Sealed bytes differ with each sealing: new credentials are something new to try.
    const given = Buffer.from(container.credentialsSealed?.subarray(0, 32) ?? []).toString('hex')
    const triedFor = `${version} ${group.desiredSinceMs} ${given}`
    let work = this.#works.get(id)
    if (!work || (!work.busy && work.record.reference !== container.image)) {
      work = newWork({ group: id, version, reference: container.image })
      this.#works.set(id, work)
    }
    if (work.busy) return
    if (work.triedFor !== triedFor) Object.assign(work, { ...untried(), triedFor })
    if (work.record.bundle && work.record.version !== version) {
      // The same image in a new version: nothing to read.
      work.record = { ...work.record, version }
      this.#track(this.#groupRecords.put(id, work.record))
    }
    const isDone = work.record.bundle !== undefined && this.#isCached(work.record.bundle)
    if (isDone) {
      if (container.credentialsSealed) this.#track(this.#parts.groups.dropCredentials(group))
      return
    }
    if (work.isFinal || this.#parts.nowMs() < work.retryAtMs || !this.#hasCache()) {
      if (!this.#hasCache() && !work.record.bundle) work.fault = noCache
      return
    }
    this.#track(this.#prepare(group, work))
  }

  #hasCache(): boolean {
    return this.#parts.sessions.caches.values().some(({ connected }) => connected)
  }

  /** A cache that is away may come back with it; only one that is here can say that it lacks it. */
  #isCached(bundle: BundleId): boolean {
    const here = [...this.#parts.sessions.caches.values()].filter(({ connected }) => connected)
    return here.length === 0 || here.some(({ bundles }) => bundles.has(bundle))
  }

  async #prepare(group: GroupRecord, work: Work): Promise<void> {
    const { logger, groups, nowMs, onChange } = this.#parts
    const log = logger.child({ group: group.id, image: group.container.image })
    work.busy = true
    const had = work.record.bundle
    try {
      const credentials = groups.openCredentials(group)
      const resolved =
        work.record.resolved ?? (await this.#resolve(group.container.image, credentials))
      const scope = resolved.isPublic ? networkScope : group.organizationId
      work.record = { ...work.record, version: group.version, resolved, scope }
      await this.#groupRecords.put(group.id, work.record)
      onChange()
      const bundle = await this.#ingest(scope, resolved, credentials, work)
      work.record = { ...work.record, bundle: bundle.bundle }
      await this.#groupRecords.put(group.id, work.record)
      Object.assign(work, untried())
      log.info({ bundle: bundle.bundle, digest: resolved.manifestDigest }, 'the image is cached')
      await groups.dropCredentials(group)
    } catch (error) {
      if (this.#stopped.signal.aborted) return
      const code = errorCode(error) ?? 'INTERNAL'
      const needsCredentials = had !== undefined && code === 'UNAUTHORIZED'
      work.attempts++
      work.fault = needsCredentials
        ? { code: 'REGISTRY_CREDENTIALS_NEEDED', message: 'registry credentials needed' }
        : { code, message: describeError(error).slice(0, 2_000) }
      work.isFinal = isFinalFault(code)
      const capMs = Math.min(retryMaxMs, retryMinMs * 2 ** Math.min(work.attempts - 1, 10))
      work.retryAtMs = nowMs() + capMs
      log.warn({ error, attempts: work.attempts, final: work.isFinal }, 'the image is not cached')
    } finally {
      work.busy = false
      onChange()
    }
  }

  #resolve(
    reference: string,
    credentials: RegistryCredentials | undefined,
  ): Promise<ResolvedManifest> {
    const who = credentials
      ? createHash('sha256').update(JSON.stringify(credentials)).digest('hex')
      : ''
    const key = `${reference} ${who}`
    const under = this.#resolving.get(key)
    if (under) return under
    const { signal } = this.#stopped
    const resolving = this.#parts.desk.resolve(reference, credentials, { signal })
    this.#resolving.set(key, resolving)
    const forget = (): boolean => this.#resolving.delete(key)
    resolving.then(() => setTimeout(forget, resolvedForMs).unref(), forget)
    return resolving
  }

  #ingest(
    scope: string,
    resolved: ResolvedManifest,
    credentials: RegistryCredentials | undefined,
    work: Work,
  ): Promise<BundleRecord> {
    const key = imageKey(scope, resolved.manifestDigest)
    const known = this.#byImage.get(key)
    if (known && this.#isCached(known.bundle)) return Promise.resolve(known)
    let under = this.#ingesting.get(key)
    if (!under) {
      const progress: Progress = { bytesDone: 0 }
      const done = this.#ingestOnce(scope, resolved, credentials, progress)
      under = { done, progress }
      this.#ingesting.set(key, under)
      const forget = (): boolean => this.#ingesting.delete(key)
      done.then(forget, forget)
    }
    work.progress = under.progress
    return under.done
  }

  async #ingestOnce(
    scope: string,
    resolved: ResolvedManifest,
    credentials: RegistryCredentials | undefined,
    progress: Progress,
  ): Promise<BundleRecord> {
    const { keys, desk, logger, onChange } = this.#parts
    const { repository, manifest, manifestDigest, mediaType } = resolved
    const drawn = await keys.draw(scope, resolved.blobs)
    const blobs = resolved.blobs.map((blob, index) => ({
      ...blob,
      key: drawn[index] as Uint8Array,
    }))
    try {
      const made = await desk.ingest(
        { repository, blobs, ...(credentials ? { credentials } : {}) },
        {
          affinity: imageKey(scope, manifestDigest),
          signal: this.#stopped.signal,
          onProgress(bytesDone) {
            progress.bytesDone = bytesDone
          },
        },
      )
      const named = blobs.map(({ key, digest, sizeBytes }) =>
        blobIdFor(key, digest, chunkSizeFor(sizeBytes)),
      )
      if (named.join() !== made.blobIds.join()) {
        const message = 'the cache named other blobs than it was given'
        throw new ImageFaultError({ code: 'CACHE_ANSWER_INVALID', message })
      }
      const record: BundleRecord = {
        ...{ bundle: made.bundle, scope, repository, manifest, manifestDigest, mediaType },
        blobs: resolved.blobs.map((blob, index) => ({
          ...blob,
          id: made.blobIds[index] as BlobId,
        })),
      }
      await this.#bundleRecords.put(record.bundle, record)
      this.loadBundle(record)
      this.#noteHolder(made.cache, record.bundle)
      const { registryBytes, cache } = made
      logger.info({ bundle: made.bundle, cache, registryBytes }, 'a bundle was ingested')
      return record
    } catch (error) {
      const wrong = error instanceof ImageFaultError ? error.wrongBlob : undefined
      if (wrong !== undefined) {
        const blob = resolved.blobs.filter(({ digest }) => digest === wrong)
        await keys.drop(scope, blob, this.#digestsOf(scope))
      }
      throw error
    } finally {
      onChange()
    }
  }

  /** Until its next beat says so too. */
  #noteHolder(cache: Parameters<Sessions['get']>[0], bundle: BundleId): void {
    const state = this.#parts.sessions.caches.get(cache)
    if (state) state.bundles = new Set([...state.bundles, bundle])
  }

  #digestsOf(scope: string): Set<Digest> {
    const digests = new Set<Digest>()
    for (const record of this.#bundles.values()) {
      if (record.scope === scope) for (const { digest } of record.blobs) digests.add(digest)
    }
    return digests
  }

  /** Forgets bundles that no group and no slot needs, and tells their holders. */
  #collect(inUse: ReadonlySet<BundleId>): void {
    const needed = new Set(inUse)
    for (const { record } of this.#works.values()) if (record.bundle) needed.add(record.bundle)
    const isIdle = this.#ingesting.size === 0 && !this.#works.values().some(({ busy }) => busy)
    if (isIdle) {
      for (const record of [...this.#bundles.values()]) {
        if (needed.has(record.bundle)) continue
        this.#bundles.delete(record.bundle)
        this.#byImage.delete(imageKey(record.scope, record.manifestDigest))
        this.#track(this.#forgetBundle(record))
      }
    }
    this.#dropStrangers()
  }

  async #forgetBundle(record: BundleRecord): Promise<void> {
    await this.#bundleRecords.delete(record.bundle)
    await this.#parts.keys.drop(record.scope, record.blobs, this.#digestsOf(record.scope))
    this.#parts.logger.info({ bundle: record.bundle }, 'a bundle is no longer needed')
  }

  #dropStrangers(): void {
    const { sessions, nowMs } = this.#parts
    if (this.#ingesting.size > 0) return
    const seen = new Set<string>()
    for (const all of [sessions.caches, sessions.nodes]) {
      for (const { node, connected, bundles } of all.values()) {
        if (!connected) continue
        for (const bundle of bundles) {
          if (this.#bundles.has(bundle)) continue
          const name = `${node} ${bundle}`
          seen.add(name)
          const sinceMs = this.#strangers.get(name)
          if (sinceMs === undefined) this.#strangers.set(name, nowMs())
          else if (nowMs() - sinceMs > strangeMs) {
            sessions.send(node, { type: 'drop-bundle', bundle })
            this.#strangers.set(name, nowMs())
          }
        }
      }
    }
    for (const name of this.#strangers.keys()) if (!seen.has(name)) this.#strangers.delete(name)
  }

  #track(work: Promise<unknown>): void {
    const tracked = work
      .then(() => undefined)
      .catch((error: unknown) => {
        this.#parts.logger.error({ error }, 'could not persist what is known of an image')
      })
      .finally(() => this.#running.delete(tracked))
    this.#running.add(tracked)
  }
}

const noCache: Fault = { code: 'NO_CACHE', message: 'no cache is connected; the image waits' }

function untried() {
  return { attempts: 0, retryAtMs: 0, fault: undefined, isFinal: false }
}

function newWork(record: GroupImage): Work {
  return { record, triedFor: '', busy: false, progress: { bytesDone: 0 }, ...untried() }
}

function imageKey(scope: string, manifestDigest: string): string {
  return `${scope} ${manifestDigest}`
}
