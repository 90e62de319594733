/**
 * Bundles that caches hold: made once however many groups wait for one, made again when the caches
 * have lost it, and forgotten with the last who needs it. Bundles and keys are durable before
 * anyone is told of them.
 */
import type { RegistryCredentials, ResolvedManifest } from '../../protocol/control/index.ts'
import type { BlobId, BundleId, PeerId } from '../../protocol/ids.ts'
import type { Logger } from '../../protocol/log/index.ts'
import type { AllocationSecrets } from '../../protocol/orders/index.ts'
import { type Collection, collection, type Store } from '../../protocol/store/index.ts'
import type { Sessions } from '../sessions/index.ts'
import { type BlobKeys, blobName } from './blob-keys.ts'
import type { CacheDesk } from './cache-desk.ts'
import { ImageFaultError } from './errors.ts'
import { type BundleRecord, BundleRecordSchema } from './records.ts'

export type Progress = { bytesDone: number }

export interface Bundles {
  get(id: BundleId): BundleRecord | undefined
  /** Whether a cache has it, as far as caches that are here say. */
  isCached(bundle: BundleId): boolean
  /** The bundle of an image; joins what is under way. Rejects as `CacheDesk.ingest`. */
  make(
    scope: string,
    resolved: ResolvedManifest,
    credentials: RegistryCredentials | undefined,
    signal: AbortSignal,
  ): Readonly<{ done: Promise<BundleRecord>; progress: Progress }>
  /** The blobs with their keys, for an allocation. @throws {SecretUnreadableError} */
  openBlobs(record: BundleRecord): AllocationSecrets['blobs'] | undefined
  /**
   * Forgets bundles that are not `needed`, and tells holders what nobody needs. While an image is
   * being prepared (not `isIdle`) it may be about to need one: that is forgotten only if it does not.
   * So is one that shares blobs with a needed one: nodes that go from one version of an image to the
   * next keep what has not changed, which goes with the old version if that goes first.
   */
  collect(needed: ReadonlySet<BundleId>, options: Readonly<{ isIdle: boolean }>): Promise<void>
}

export type BundlesComponents = Readonly<{
  store: Store
  keys: BlobKeys
  desk: CacheDesk
  sessions: Pick<Sessions, 'caches' | 'nodes' | 'send'>
  /** Coordinator's time. */
  nowMs: () => number
  onChange: () => void
  logger: Logger
}>

/**
 * A bundle that no record explains is dropped by a cache after this, so that it is no race with
 * ingest; and who still has it is told again after it.
 */
const strangeMs = 10_000
/** How long a bundle that may be about to be needed is kept: longer than a record takes to write. */
const unneededMs = 60_000

export async function openBundles(components: BundlesComponents): Promise<Bundles> {
  const records = collection(components.store, 'bundles', BundleRecordSchema)
  const book = new BundleBook(components, records)
  for await (const [, record] of records.entries()) book.load(record)
  return book
}

type Making = Readonly<{
  done: Promise<BundleRecord>
  progress: Progress
  scope: string
  resolved: ResolvedManifest
}>

class BundleBook implements Bundles {
  readonly #parts: BundlesComponents
  readonly #records: Collection<BundleRecord>
  readonly #bundles = new Map<BundleId, BundleRecord>()
  /** By its blobs: manifests that list the same ones share a bundle. */
  readonly #byContent = new Map<string, BundleRecord>()
  readonly #making = new Map<string, Making>()
  /** Ids on their way to the disk, and what is in each. */
  readonly #claims = new Map<BundleId, string>()
  readonly #strangers = new Map<string, number>()
  readonly #unneededSinceMs = new Map<BundleId, number>()

  constructor(parts: BundlesComponents, records: Collection<BundleRecord>) {
    this.#parts = parts
    this.#records = records
  }

  load(record: BundleRecord): void {
    this.#bundles.set(record.bundle, record)
    this.#byContent.set(contentKey(record.scope, record.blobs), record)
  }

  get(id: BundleId): BundleRecord | undefined {
    return this.#bundles.get(id)
  }

  /** A cache that is away may come back with it; only one that is here can say that it lacks it. */
  isCached(bundle: BundleId): boolean {
    const here = [...this.#parts.sessions.caches.values()].filter(({ isHere }) => isHere)
    return here.length === 0 || here.some(({ bundles }) => bundles.has(bundle))
  }

  openBlobs({ scope, blobs }: BundleRecord): AllocationSecrets['blobs'] | undefined {
    const opened = blobs.map((blob) => ({ ...blob, key: this.#parts.keys.open(scope, blob) }))
    const isWhole = (blob: (typeof opened)[number]): blob is AllocationSecrets['blobs'][number] =>
      blob.key !== undefined
    return opened.every(isWhole) ? opened : undefined
  }

  make: Bundles['make'] = (scope, resolved, credentials, signal) => {
    const key = contentKey(scope, resolved.blobs)
    const known = this.#byContent.get(key)
    if (known) this.#unneededSinceMs.delete(known.bundle)
    if (known && this.isCached(known.bundle)) {
      return { done: Promise.resolve(known), progress: { bytesDone: 0 } }
    }
    let under = this.#making.get(key)
    if (!under) {
      const progress: Progress = { bytesDone: 0 }
      const done = this.#ingest(scope, resolved, credentials, { progress, signal })
      under = { done, progress, scope, resolved }
      this.#making.set(key, under)
      const forget = (): boolean => this.#making.delete(key)
      done.then(forget, forget)
    }
    return under
  }

  async #ingest(
    scope: string,
    resolved: ResolvedManifest,
    credentials: RegistryCredentials | undefined,
    { progress, signal }: Readonly<{ progress: Progress; signal: AbortSignal }>,
  ): Promise<BundleRecord> {
    const { keys, desk, logger, onChange } = this.#parts
    const { repository } = resolved
    const drawn = await keys.draw(scope, resolved.blobs)
    const blobs = resolved.blobs.map((blob, index) => ({
      ...blob,
      key: drawn[index] as Uint8Array,
    }))
    let claimed: BundleId | undefined
    try {
      const made = await desk.ingest(
        { repository, blobs, ...(credentials ? { credentials } : {}) },
        {
          affinity: contentKey(scope, resolved.blobs),
          signal,
          onProgress(bytesDone) {
            progress.bytesDone = bytesDone
          },
          accepts: (bundle) => this.#claim(bundle, scope, resolved),
        },
      )
      claimed = made.bundle
      const known = this.#bundles.get(made.bundle)
      if (known) {
        this.#noteHolder(made.cache, known.bundle)
        return known
      }
      const record: BundleRecord = {
        ...{ bundle: made.bundle, scope, repository },
        blobs: resolved.blobs.map((blob, index) => ({
          ...blob,
          id: made.blobIds[index] as BlobId,
        })),
      }
      await this.#records.put(record.bundle, record)
      this.load(record)
      this.#noteHolder(made.cache, record.bundle)
      const { registryBytes, cache } = made
      logger.info({ bundle: made.bundle, cache, registryBytes }, 'a bundle was ingested')
      return record
    } catch (error) {
      const wrong = error instanceof ImageFaultError ? error.wrongBlob : undefined
      if (wrong !== undefined) {
        const blob = resolved.blobs.filter(({ digest }) => digest === wrong)
        await keys.drop(scope, blob, this.#blobsOf(scope, resolved))
      }
      throw error
    } finally {
      if (claimed !== undefined) this.#claims.delete(claimed)
      onChange()
    }
  }

  /**
   * Whether the id may be that of this image's bundle. Only its cache has seen the descriptor, so a
   * wrong id cannot be told from a right one, but for this: one bundle has one list of blobs.
   */
  #claim(bundle: BundleId, scope: string, { blobs }: ResolvedManifest): boolean {
    const content = contentKey(scope, blobs)
    const known = this.#bundles.get(bundle)
    const explained = known ? contentKey(known.scope, known.blobs) : this.#claims.get(bundle)
    if (explained !== undefined && explained !== content) return false
    this.#claims.set(bundle, content)
    return true
  }

  /** Until its next beat says so too. */
  #noteHolder(cache: PeerId, bundle: BundleId): void {
    const state = this.#parts.sessions.caches.get(cache)
    if (state) state.bundles = new Set([...state.bundles, bundle])
  }

  /** Of bundles that are there or being made: their keys must stay. */
  #blobsOf(scope: string, but?: ResolvedManifest): Set<string> {
    const names = new Set<string>()
    for (const record of this.#bundles.values()) {
      if (record.scope === scope) for (const blob of record.blobs) names.add(blobName(blob))
    }
    for (const { scope: own, resolved } of this.#making.values()) {
      if (own !== scope || resolved === but) continue
      for (const blob of resolved.blobs) names.add(blobName(blob))
    }
    return names
  }

  async collect(
    needed: ReadonlySet<BundleId>,
    { isIdle }: Readonly<{ isIdle: boolean }>,
  ): Promise<void> {
    const forgotten = this.#unneeded(needed, isIdle)
    for (const record of forgotten) {
      this.#bundles.delete(record.bundle)
      this.#unneededSinceMs.delete(record.bundle)
      const content = contentKey(record.scope, record.blobs)
      if (this.#byContent.get(content) === record) this.#byContent.delete(content)
    }
    this.#dropStrangers()
    for (const record of forgotten) await this.#forgetBundle(record)
  }

  /** Bundles that nobody has needed for a while, or that nobody can be about to need. */
  #unneeded(needed: ReadonlySet<BundleId>, isIdle: boolean): readonly BundleRecord[] {
    const nowMs = this.#parts.nowMs()
    const unneeded: BundleRecord[] = []
    const neededBlobs = new Set<BlobId>()
    for (const id of needed) {
      for (const blob of this.#bundles.get(id)?.blobs ?? []) neededBlobs.add(blob.id)
    }
    for (const record of this.#bundles.values()) {
      if (needed.has(record.bundle)) {
        this.#unneededSinceMs.delete(record.bundle)
        continue
      }
      const sinceMs = this.#unneededSinceMs.get(record.bundle) ?? nowMs
      this.#unneededSinceMs.set(record.bundle, sinceMs)
      const isMade = this.#making.has(contentKey(record.scope, record.blobs))
      const isShared = record.blobs.some(({ id }) => neededBlobs.has(id))
      const afterMs = isIdle && !isShared ? 0 : unneededMs
      if (!isMade && nowMs - sinceMs >= afterMs) unneeded.push(record)
    }
    return unneeded
  }

  async #forgetBundle(record: BundleRecord): Promise<void> {
    await this.#records.delete(record.bundle)
    await this.#parts.keys.drop(record.scope, record.blobs, this.#blobsOf(record.scope))
    this.#parts.logger.info({ bundle: record.bundle }, 'a bundle is no longer needed')
  }

  #dropStrangers(): void {
    const { sessions, nowMs, desk } = this.#parts
    const seen = new Set<string>()
    for (const all of [sessions.caches, sessions.nodes]) {
      for (const { node, role, connected, bundles, partial } of all.values()) {
        // A cache may hold by now what it has not told yet that it ingested.
        if (!connected || (role === 'cache' && desk.isBusy(node))) continue
        for (const bundle of [...bundles, ...partial]) {
          if (this.#bundles.has(bundle) || this.#claims.has(bundle)) continue
          const name = `${node} ${bundle}`
          seen.add(name)
          const sinceMs = this.#strangers.get(name)
          // A node holds what it was ordered to, so what is in no record any more; a cache may have
          // made something new.
          const isTold = role === 'node' && sinceMs === undefined
          if (isTold || (sinceMs !== undefined && nowMs() - sinceMs > strangeMs)) {
            sessions.send(node, { type: 'drop-bundle', bundle })
            this.#strangers.set(name, nowMs())
          } else if (sinceMs === undefined) this.#strangers.set(name, nowMs())
        }
      }
    }
    for (const name of this.#strangers.keys()) if (!seen.has(name)) this.#strangers.delete(name)
  }
}

function contentKey(scope: string, blobs: ResolvedManifest['blobs']): string {
  return `${scope} ${blobs.map(blobName).join()}`
}
