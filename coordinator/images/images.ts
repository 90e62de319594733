/**
 * From a group's reference to a bundle that a cache holds whole. Level-triggered: `tend` is called
 * again and again with the groups there are, and starts what is missing. Each question is asked
 * once however many groups want its answer: one resolve per reference and credentials, one ingest
 * per image and scope (bundle.md, "One pull").
 */
import { createHash } from 'node:crypto'
import type { Fault, RegistryCredentials, ResolvedManifest } from '../../protocol/control/index.ts'
import { describeError, errorCode } from '../../protocol/errors.ts'
import type { BundleId, GroupId } from '../../protocol/ids.ts'
import type { AllocationSecrets } from '../../protocol/orders/index.ts'
import { type Collection, collection } from '../../protocol/store/index.ts'
import type { GroupRecord, Groups, ImageView } from '../groups/index.ts'
import { type Bundles, type BundlesComponents, openBundles, type Progress } from './bundles.ts'
import { isFinalFault } from './errors.ts'
import { type BundleRecord, type GroupImage, GroupImageSchema, networkScope } from './records.ts'

export interface Images {
  /** Looks after every group's image; cheap when there is nothing to do. */
  tend(groups: readonly GroupRecord[], inUse: ReadonlySet<BundleId>): void
  /** The bundle of the group's newest version, once a cache has it. */
  bundleOf(group: GroupRecord): BundleId | undefined
  bundle(id: BundleId): BundleRecord | undefined
  /** The manifest of the group's newest version: others may list the same blobs, so share its bundle. */
  manifestOf(group: GroupRecord): ImageManifest | undefined
  /** The blobs with their keys, for an allocation. @throws {SecretUnreadableError} */
  openBlobs(record: BundleRecord): AllocationSecrets['blobs'] | undefined
  view(group: GroupId): ImageView | undefined
  /** Ends what is under way. */
  stop(): Promise<void>
}

export type ImageManifest = Pick<AllocationSecrets, 'manifest' | 'manifestDigest' | 'mediaType'>

export type ImagesComponents = BundlesComponents &
  Readonly<{ groups: Pick<Groups, 'openCredentials' | 'dropCredentials' | 'byId'> }>

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

const retryMinMs = 1_000
const retryMaxMs = 60_000
/** Groups that come within this of each other share one answer about a tag. */
const resolvedForMs = 5_000

export async function openImages(components: ImagesComponents): Promise<Images> {
  const { store } = components
  const bundles = await openBundles(components)
  const groupRecords = collection(store, 'group-images', GroupImageSchema)
  const book = new ImageBook(components, bundles, groupRecords)
  for await (const [, record] of groupRecords.entries()) book.loadGroup(record)
  return book
}

class ImageBook implements Images {
  readonly #parts: ImagesComponents
  readonly #bundles: Bundles
  readonly #groupRecords: Collection<GroupImage>
  readonly #works = new Map<GroupId, Work>()
  readonly #resolving = new Map<string, Promise<ResolvedManifest>>()
  readonly #running = new Set<Promise<void>>()
  readonly #stopped = new AbortController()

  constructor(parts: ImagesComponents, bundles: Bundles, groupRecords: Collection<GroupImage>) {
    this.#parts = parts
    this.#bundles = bundles
    this.#groupRecords = groupRecords
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
    const needed = new Set(inUse)
    for (const { record } of this.#works.values()) if (record.bundle) needed.add(record.bundle)
    const isIdle = !this.#works.values().some(({ busy }) => busy)
    this.#track(this.#bundles.collect(needed, { isIdle }))
  }

  bundleOf(group: GroupRecord): BundleId | undefined {
    return this.#newest(group)?.bundle
  }

  manifestOf(group: GroupRecord): ImageManifest | undefined {
    const resolved = this.#newest(group)?.resolved
    if (!resolved) return undefined
    const { manifest, manifestDigest, mediaType } = resolved
    return { manifest, manifestDigest, mediaType }
  }

  #newest({ id, version, container }: GroupRecord): GroupImage | undefined {
    const record = this.#works.get(id)?.record
    const isNewest = record?.version === version && record.reference === container.image
    return isNewest ? record : undefined
  }

  bundle(id: BundleId): BundleRecord | undefined {
    return this.#bundles.get(id)
  }

  openBlobs(record: BundleRecord): AllocationSecrets['blobs'] | undefined {
    return this.#bundles.openBlobs(record)
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
    const isDone = work.record.bundle !== undefined && this.#bundles.isCached(work.record.bundle)
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
    return this.#parts.sessions.caches.values().some(({ isHere }) => isHere)
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
      const signal = this.#stopped.signal
      const under = this.#bundles.make(scope, resolved, credentials, signal)
      work.progress = under.progress
      const bundle = await under.done
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
