/**
 * The chunk store: bundles and drafts over shared blobs, in one folder, under a byte budget.
 * Without it a node would fetch an image anew for each slot and after each restart, and a cache
 * would read its registry twice.
 *
 * What changes the structure (add, remove, evict, open a draft) runs one at a time; writing and
 * reading chunks does not wait for it, unless a write needs room. One process owns the folder at a
 * time: its owner holds the lock of the data folder.
 */
import pLimit from 'p-limit'
import type { Uint8ArrayList } from 'uint8arraylist'
import { bundleIdOf, cutFor, type DescriptorLimits, parseDescriptor } from '../bundle/index.ts'
import { bootId as bootIdOfMachine } from '../clock.ts'
import type { BlobId, BundleId } from '../ids.ts'
import type { Logger } from '../log/types.ts'
import type { BlobFile, WriteOutcome } from './blob-file.ts'
import { BlobTable } from './blob-table.ts'
import { type Budget, createBudget } from './budget.ts'
import { createChunkThread } from './chunk-thread.ts'
import { makeFolders, removeFiles, type StoreFiles, storeFiles, writeWhole } from './disk.ts'
import { blobBaseDiskBytes, fileDiskBytes, folderDiskBytes, namesDiskBytes } from './disk-size.ts'
import { BundleRemovedError, StoreClosedError } from './errors.ts'
import { createFilePool, type FilePool } from './file-pool.ts'
import { createListeners } from './listeners.ts'
import { type FoundBundle, readVerifiedBoot, recover, writeVerifiedBoot } from './recovery.ts'
import { Shelf } from './shelf.ts'
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
  readonly #thread = createChunkThread()
  readonly #logger: Logger
  readonly #budget: Budget
  readonly #shelf: Shelf
  readonly #blobs: BlobTable
  readonly #removals = createListeners<BundleId>()
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
    this.#shelf = new Shelf({ files })
    this.#budget = createBudget(
      { budgetBytes },
      {
        evictableBytes: () => this.#shelf.evictableBytes(this.#blobs.all()),
        evictOne: () => this.#evictOne(),
      },
    )
    this.#budget.add(folderDiskBytes)
    this.#blobs = new BlobTable({
      files,
      pool,
      thread: this.#thread,
      onBytes: (changeBytes) => this.#budget.add(changeBytes),
      write: (blob, index, bytes) => this.#write(blob, index, bytes, false),
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
      const known = this.#shelf.get(id)
      if (known) {
        this.#shelf.touch(id)
        return known
      }
      for (const blob of descriptor.blobs) this.#blobs.refuseConflict(blob)
      // Room for a new version must not be made of the blobs that it shares with an old one.
      const shared = descriptor.blobs.flatMap((blob) => this.#blobs.get(blob.id) ?? [])
      for (const blob of shared) blob.uses += 1
      const indexBytes = fileDiskBytes(bytes.length) + this.#blobs.indexBytes(descriptor)
      try {
        // Before others are evicted, or a byte is fetched, for what can never be whole here.
        this.#budget.refuse(indexBytes + this.#blobs.missingBytes(descriptor))
        await this.#budget.reserve(indexBytes, (work) => work())
        try {
          await writeWhole(this.#files.descriptor(id), bytes)
          return await this.#attach({ id, descriptor, descriptorBytes: bytes })
        } finally {
          this.#budget.release(indexBytes)
        }
      } finally {
        for (const blob of shared) blob.uses -= 1
      }
    })
  }

  get(id: BundleId): StoredBundle | undefined {
    return this.#shelf.get(id)
  }

  bundles(): readonly StoredBundle[] {
    return this.#shelf.all()
  }

  pin(id: BundleId): void {
    this.#shelf.pin(id)
  }

  unpin(id: BundleId): void {
    // A budget that was lowered while it was in use could not be kept until now.
    if (this.#shelf.unpin(id) && this.usedBytes > this.budgetBytes) this.#trimSoon()
  }

  async setBudget(budgetBytes: number): Promise<void> {
    this.#budget.setBudget(budgetBytes)
    await this.#change(() => this.#budget.trim())
  }

  onRemoved(listener: (bundle: BundleId) => void): () => void {
    return this.#removals.listen(listener)
  }

  #trimSoon(): void {
    this.#change(() => this.#budget.trim()).catch((error: unknown) => {
      if (!this.#closing.signal.aborted) {
        this.#logger.error({ err: error }, 'the budget could not be kept')
      }
    })
  }

  remove(id: BundleId): Promise<void> {
    return this.#change(() => this.#remove(id))
  }

  createBlobDraft(id: BlobId, sizeBytes: number, chunkSizeBytes: number): Promise<BlobDraft> {
    const { signal } = this.#closing
    return this.#change(async () => {
      const cut = cutFor(sizeBytes)
      const isKnown = this.#blobs.get(id) !== undefined
      const indexBytes = isKnown ? 0 : blobBaseDiskBytes(cut) + namesDiskBytes(cut)
      await this.#budget.reserve(indexBytes, (work) => work())
      try {
        return await this.#blobs.openDraft(id, { sizeBytes, chunkSizeBytes }, { signal })
      } finally {
        this.#budget.release(indexBytes)
      }
    })
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
    for (const bundle of this.#shelf.all()) bundle.end(new StoreClosedError())
    await this.#exclusive(async () => {
      await this.#verified.catch(() => undefined)
      await this.#blobs.close()
      await this.#thread.close()
      await this.#pool.close()
    })
  }

  #change<T>(work: () => Promise<T>): Promise<T> {
    return this.#exclusive(async () => {
      this.#closing.signal.throwIfAborted()
      return await work()
    })
  }

  async #write(
    blob: BlobFile,
    index: number,
    bytes: Uint8Array | Uint8ArrayList,
    verify: boolean,
  ): Promise<WriteOutcome> {
    this.#closing.signal.throwIfAborted()
    blob.uses += 1
    const costBytes = blob.disk.costOf(index)
    try {
      await this.#budget.reserve(costBytes, (work) => this.#change(work))
      try {
        this.#closing.signal.throwIfAborted()
        return await blob.write(index, bytes, verify)
      } finally {
        this.#budget.release(costBytes)
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
        write: (blob, index, bytes) => this.#write(blob, index, bytes, true),
        touch: (used) => this.#shelf.touch(used),
      },
    )
    this.#budget.add(fileDiskBytes(descriptorBytes.length))
    this.#shelf.add(bundle)
    return bundle
  }

  async #remove(id: BundleId): Promise<void> {
    const bundle = this.#shelf.get(id)
    if (!bundle) return
    this.#shelf.remove(id)
    bundle.end(new BundleRemovedError(id))
    await this.#blobs.leave(id, bundle.blobs, () => removeFiles(this.#files.descriptor(id)))
    this.#budget.add(-fileDiskBytes(bundle.descriptorBytes.length))
    this.#removals.tell(id)
  }

  async #evictOne(): Promise<boolean> {
    const victim = this.#shelf.next(this.#blobs.all())
    if (!victim) return false
    if ('bundle' in victim) {
      const { id } = victim.bundle
      this.#logger.info({ bundle: id }, 'a bundle was evicted to make room')
      await this.#remove(id)
    } else {
      const { id } = victim.draft
      this.#logger.info({ blob: id }, 'an unfinished blob was evicted to make room')
      await this.#blobs.removeUnlessListed(id)
    }
    return true
  }

  async #verifyAll(bootId: string): Promise<void> {
    const { signal } = this.#closing
    for (const blob of this.#blobs.all()) {
      if (blob.suspect) await blob.verify({ signal })
    }
    if (!signal.aborted) await writeVerifiedBoot(this.#files, bootId)
  }
}
