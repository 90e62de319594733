/**
 * The chunk store: bundles and drafts over shared blobs, in one folder, under a byte budget.
 * Without it a node would fetch an image anew for each slot and after each restart, and a cache
 * would read its registry twice.
 *
 * What changes the structure (add, remove, evict, open a draft) runs one at a time; writing and
 * reading chunks does not wait for it, unless a write needs room. One process owns the folder at a
 * time: its owner holds the lock of the data folder.
 */
import { utimes } from 'node:fs/promises'
import pLimit from 'p-limit'
import { bundleIdOf, type DescriptorLimits, parseDescriptor } from '../bundle/index.ts'
import { bootId as bootIdOfMachine } from '../clock.ts'
import type { BlobId, BundleId } from '../ids.ts'
import type { Logger } from '../log/types.ts'
import type { BlobFile } from './blob-file.ts'
import { BlobTable } from './blob-table.ts'
import { type Budget, createBudget } from './budget.ts'
import { makeFolders, removeFiles, type StoreFiles, storeFiles, writeWhole } from './disk.ts'
import { BundleRemovedError, StoreClosedError } from './errors.ts'
import { createFilePool, type FilePool } from './file-pool.ts'
import { type FoundBundle, readVerifiedBoot, recover, writeVerifiedBoot } from './recovery.ts'
import { createStoredBundle, type OwnedBundle } from './stored-bundle.ts'
import type { BlobDraft, BundleStore, StoredBundle } from './types.ts'

export type BundleStoreInit = Readonly<{
  /** The store's folder; made if absent, for this user alone. */
  root: string
  budgetBytes: number
  limits?: DescriptorLimits
  /** Files open at once. */
  openFilesMax?: number
}>

export type BundleStoreComponents = Readonly<{
  logger: Logger
  /** An id that changes when the machine boots; the machine's own by default. */
  bootId?: () => string
}>

/** Opens the store in `root`, and recovers what an earlier process left. */
export async function openBundleStore(
  init: BundleStoreInit,
  { logger, bootId = bootIdOfMachine }: BundleStoreComponents,
): Promise<BundleStore> {
  const files = storeFiles(init.root)
  await makeFolders(init.root, files)
  const pool = createFilePool(init.openFilesMax === undefined ? {} : { openMax: init.openFilesMax })
  const store = new DiskBundleStore(init, { files, pool, logger })
  await store.start(bootId())
  return store
}

type Components = Readonly<{ files: StoreFiles; pool: FilePool; logger: Logger }>

class DiskBundleStore implements BundleStore {
  readonly #limits: DescriptorLimits
  readonly #files: StoreFiles
  readonly #pool: FilePool
  readonly #logger: Logger
  readonly #budget: Budget
  readonly #bundles = new Map<BundleId, OwnedBundle>() // the least recently used first
  readonly #blobs: BlobTable
  readonly #pinned = new Set<BundleId>()
  /** One change of structure at a time. */
  readonly #exclusive = pLimit(1)
  readonly #closing = new AbortController()
  #verified: Promise<void> = Promise.resolve()
  #closed: Promise<void> | undefined

  constructor({ budgetBytes, limits = {} }: BundleStoreInit, { files, pool, logger }: Components) {
    this.#limits = limits
    this.#files = files
    this.#pool = pool
    this.#logger = logger
    this.#budget = createBudget(
      { budgetBytes },
      { evictableBytes: () => this.#evictableBytes(), evictOne: () => this.#evictOne() },
    )
    this.#blobs = new BlobTable({
      files,
      pool,
      onBytes: (changeBytes) => this.#budget.add(changeBytes),
      write: (blob, index, bytes) => this.#write(blob, index, bytes),
      change: (work) => this.#change(work),
    })
  }

  get usedBytes(): number {
    return this.#budget.usedBytes
  }

  get budgetBytes(): number {
    return this.#budget.budgetBytes
  }

  async start(bootId: string): Promise<void> {
    const found = await recover(this.#limits, { files: this.#files, logger: this.#logger })
    for (const draft of found.drafts) this.#blobs.restoreDraft(draft)
    for (const bundle of found.bundles) {
      for (const blob of bundle.descriptor.blobs) await this.#blobs.restore(blob)
      await this.#attach(bundle)
    }
    if ((await readVerifiedBoot(this.#files)) === bootId) return
    for (const blob of this.#blobs.all()) blob.suspect = true
    this.#verified = this.#verifyAll(bootId)
    // A failure surfaces where it is awaited, and in the log; it must not end the process.
    this.#verified.catch((error: unknown) =>
      this.#logger.error({ err: error }, 'stored chunks could not be verified'),
    )
  }

  async add(descriptorBytes: Uint8Array): Promise<StoredBundle> {
    const bytes = Uint8Array.from(descriptorBytes)
    const descriptor = parseDescriptor(bytes, this.#limits)
    const id = bundleIdOf(bytes)
    return await this.#change(async () => {
      const known = this.#bundles.get(id)
      if (known) {
        this.#touch(id)
        return known
      }
      for (const blob of descriptor.blobs) this.#blobs.refuseConflict(blob)
      // Room for a new version must not be made of the blobs that it shares with an old one.
      const shared = descriptor.blobs.flatMap((blob) => this.#blobs.get(blob.id) ?? [])
      for (const blob of shared) blob.uses += 1
      try {
        await this.#budget.reserve(bytes.length, (work) => work())
        try {
          await writeWhole(this.#files.descriptor(id), bytes)
          return await this.#attach({ id, descriptor, descriptorBytes: bytes })
        } finally {
          this.#budget.release(bytes.length)
        }
      } finally {
        for (const blob of shared) blob.uses -= 1
      }
    })
  }

  get(id: BundleId): StoredBundle | undefined {
    return this.#bundles.get(id)
  }

  bundles(): readonly StoredBundle[] {
    return [...this.#bundles.values()]
  }

  pin(id: BundleId): void {
    this.#pinned.add(id)
    this.#touch(id)
    this.#persistUse(id)
  }

  unpin(id: BundleId): void {
    if (!this.#pinned.delete(id)) return
    this.#touch(id)
    this.#persistUse(id)
  }

  remove(id: BundleId): Promise<void> {
    return this.#change(() => this.#remove(id))
  }

  createBlobDraft(id: BlobId, sizeBytes: number, chunkSizeBytes: number): Promise<BlobDraft> {
    const { signal } = this.#closing
    return this.#change(() => this.#blobs.openDraft(id, { sizeBytes, chunkSizeBytes }, { signal }))
  }

  discardDraft(id: BlobId): Promise<void> {
    return this.#change(() => this.#blobs.discardDraft(id))
  }

  whenVerified(): Promise<void> {
    return this.#verified
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#closing.abort(new StoreClosedError())
    for (const bundle of this.#bundles.values()) bundle.end(new StoreClosedError())
    await this.#exclusive(async () => {
      await this.#verified.catch(() => undefined)
      await this.#blobs.close()
      await this.#pool.close()
    })
  }

  #change<T>(work: () => Promise<T>): Promise<T> {
    return this.#exclusive(async () => {
      this.#closing.signal.throwIfAborted()
      return await work()
    })
  }

  async #write(blob: BlobFile, index: number, bytes: Uint8Array): Promise<boolean> {
    this.#closing.signal.throwIfAborted()
    blob.uses += 1
    try {
      await this.#budget.reserve(bytes.length, (work) => this.#change(work))
      try {
        this.#closing.signal.throwIfAborted()
        return await blob.write(index, bytes)
      } finally {
        this.#budget.release(bytes.length)
      }
    } finally {
      blob.uses -= 1
    }
  }

  /** Registers a bundle whose descriptor is on disk, over blobs that are known or new. */
  async #attach({ id, descriptor, descriptorBytes }: FoundBundle): Promise<OwnedBundle> {
    const blobs: BlobFile[] = []
    for (const listed of descriptor.blobs) blobs.push(await this.#blobs.adopt(listed, id))
    const bundle = createStoredBundle(
      { id, descriptor, descriptorBytes, blobs },
      {
        write: (blob, index, bytes) => this.#write(blob, index, bytes),
        touch: (used) => this.#touch(used),
      },
    )
    this.#budget.add(descriptorBytes.length)
    this.#bundles.set(id, bundle)
    return bundle
  }

  async #remove(id: BundleId): Promise<void> {
    const bundle = this.#bundles.get(id)
    if (!bundle) return
    this.#bundles.delete(id)
    this.#pinned.delete(id)
    bundle.end(new BundleRemovedError(id))
    this.#budget.add(-bundle.descriptorBytes.length)
    await this.#blobs.leave(id, bundle.blobs, () => removeFiles(this.#files.descriptor(id)))
  }

  #mayEvict(bundle: OwnedBundle): boolean {
    return !this.#pinned.has(bundle.id) && bundle.blobs.every((blob) => blob.uses === 0)
  }

  #evictableBytes(): number {
    let bytes = 0
    const stays = new Set<BundleId>()
    for (const bundle of this.#bundles.values()) {
      if (this.#mayEvict(bundle)) bytes += bundle.descriptorBytes.length
      else stays.add(bundle.id)
    }
    for (const blob of this.#blobs.all()) {
      const isFree = blob.uses === 0 && stays.isDisjointFrom(blob.listedBy)
      if (isFree) bytes += blob.heldBytes
    }
    return bytes
  }

  /** A bundle first, the least recently used; then a draft that nobody came back to. */
  async #evictOne(): Promise<boolean> {
    for (const bundle of this.#bundles.values()) {
      if (!this.#mayEvict(bundle)) continue
      this.#logger.info({ bundle: bundle.id }, 'a bundle was evicted to make room')
      await this.#remove(bundle.id)
      return true
    }
    for (const blob of this.#blobs.all()) {
      if (blob.listedBy.size > 0 || blob.uses > 0) continue
      this.#logger.info({ blob: blob.id }, 'an unfinished blob was evicted to make room')
      await this.#blobs.removeUnlessListed(blob.id)
      return true
    }
    return false
  }

  #touch(id: BundleId): void {
    const bundle = this.#bundles.get(id)
    if (!bundle) return
    this.#bundles.delete(id)
    this.#bundles.set(id, bundle)
  }

  /** The order of use over restarts rests on the descriptors' times: a hint, so failure is none. */
  #persistUse(id: BundleId): void {
    const now = new Date()
    void utimes(this.#files.descriptor(id), now, now).catch(() => undefined)
  }

  async #verifyAll(bootId: string): Promise<void> {
    const { signal } = this.#closing
    for (const blob of this.#blobs.all()) {
      if (blob.suspect) await blob.verify({ signal })
    }
    if (!signal.aborted) await writeVerifiedBoot(this.#files, bootId)
  }
}
