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
import {
  Bitfield,
  bundleIdOf,
  cutFor,
  type DescriptorBlob,
  type DescriptorLimits,
  parseDescriptor,
} from '../bundle/index.ts'
import { bootId as bootIdOfMachine } from '../clock.ts'
import type { BlobId, BundleId } from '../ids.ts'
import type { Logger } from '../log/types.ts'
import { readBitmap } from './bitmap-file.ts'
import { createBlobDraft, type OwnedDraft } from './blob-draft.ts'
import { BlobFile, type BlobFileInit } from './blob-file.ts'
import { type Budget, createBudget } from './budget.ts'
import { makeFolders, removeFiles, type StoreFiles, storeFiles, writeWhole } from './disk.ts'
import { writeNames } from './draft-names.ts'
import {
  BlobConflictError,
  BundleRemovedError,
  DraftInUseError,
  StoreClosedError,
} from './errors.ts'
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
  readonly #blobs = new Map<BlobId, BlobFile>() // of bundles and of drafts
  readonly #drafts = new Map<BlobId, OwnedDraft>() // those that are open
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
  }

  get usedBytes(): number {
    return this.#budget.usedBytes
  }

  get budgetBytes(): number {
    return this.#budget.budgetBytes
  }

  async start(bootId: string): Promise<void> {
    const found = await recover(this.#limits, { files: this.#files, logger: this.#logger })
    for (const draft of found.drafts) this.#createBlob(draft)
    for (const bundle of found.bundles) await this.#restore(bundle)
    if ((await readVerifiedBoot(this.#files)) === bootId) return
    for (const blob of this.#blobs.values()) blob.suspect = true
    this.#verified = this.#verifyAll(bootId)
    // A failure surfaces where it is awaited, and in the log; it must not end the process.
    this.#verified.catch((error: unknown) =>
      this.#logger.error({ err: error }, 'stored chunks could not be verified'),
    )
  }

  add(descriptorBytes: Uint8Array): Promise<StoredBundle> {
    const bytes = Uint8Array.from(descriptorBytes)
    const descriptor = parseDescriptor(bytes, this.#limits)
    const id = bundleIdOf(bytes)
    return this.#change(async () => {
      const known = this.#bundles.get(id)
      if (known) {
        this.#touch(id)
        return known
      }
      for (const blob of descriptor.blobs) this.#refuseConflict(blob)
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
    return this.#change(async () => {
      if (this.#drafts.has(id)) throw new DraftInUseError(id)
      const cut = cutFor(sizeBytes)
      if (cut.chunkSizeBytes !== chunkSizeBytes) {
        throw new BlobConflictError(id, `${sizeBytes} bytes are cut by ${cut.chunkSizeBytes}`)
      }
      const known = this.#blobs.get(id)
      if (known && known.cut.sizeBytes !== sizeBytes) {
        throw new BlobConflictError(id, `it has ${known.cut.sizeBytes} bytes, not ${sizeBytes}`)
      }
      const blob = known ?? (await this.#beginDraft(id, sizeBytes))
      // What a reboot may have cost is found before the caller relies on it.
      if (blob.suspect) await blob.verify({ signal: this.#closing.signal })
      return this.#openDraft(blob)
    })
  }

  discardDraft(id: BlobId): Promise<void> {
    return this.#change(async () => {
      if (this.#drafts.has(id)) throw new DraftInUseError(id)
      await this.#removeBlobUnlessListed(id)
    })
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
    for (const draft of this.#drafts.values()) draft.close()
    await this.#exclusive(async () => {
      await this.#verified.catch(() => undefined)
      for (const blob of this.#blobs.values()) await blob.idle()
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

  /** A bundle found at the start: its blobs' bitmaps are on disk. */
  async #restore(bundle: FoundBundle): Promise<void> {
    for (const { id, names, ...cut } of bundle.descriptor.blobs) {
      if (this.#blobs.has(id)) continue
      const held = await readBitmap(this.#files.held(id), cut.chunkCount)
      this.#createBlob({ id, cut: cutFor(cut.sizeBytes), names: Buffer.from(names), held })
    }
    await this.#attach(bundle)
  }

  /** Registers a bundle whose descriptor is on disk, over blobs that are known or new. */
  async #attach({ id, descriptor, descriptorBytes }: FoundBundle): Promise<OwnedBundle> {
    const blobs: BlobFile[] = []
    for (const listed of descriptor.blobs) blobs.push(await this.#adopt(listed, id))
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

  /** The blob that a descriptor lists; a draft of it becomes it, less what was named otherwise. */
  async #adopt({ id, names, ...cut }: DescriptorBlob, bundle: BundleId): Promise<BlobFile> {
    const blob =
      this.#blobs.get(id) ??
      this.#createBlob({
        id,
        cut: cutFor(cut.sizeBytes),
        names: Buffer.from(names),
        held: new Bitfield(cut.chunkCount),
      })
    const wasDraft = blob.listedBy.size === 0
    blob.listedBy.add(bundle)
    if (!wasDraft) return blob
    await blob.rename(Buffer.from(names))
    const draft = this.#drafts.get(id)
    if (draft?.finished) draft.close()
    await this.#pool.forget(this.#files.names(id))
    await removeFiles(this.#files.names(id))
    return blob
  }

  #refuseConflict({ id, names, sizeBytes }: DescriptorBlob): void {
    const known = this.#blobs.get(id)
    if (!known) return
    if (known.cut.sizeBytes !== sizeBytes) {
      throw new BlobConflictError(id, `it has ${known.cut.sizeBytes} bytes, not ${sizeBytes}`)
    }
    if (known.listedBy.size > 0 && !known.names.equals(names)) {
      throw new BlobConflictError(id, 'another bundle names its chunks otherwise')
    }
  }

  async #beginDraft(id: BlobId, sizeBytes: number): Promise<BlobFile> {
    const cut = cutFor(sizeBytes)
    const names = Buffer.alloc(cut.chunkCount * 32)
    await removeFiles(this.#files.chunks(id), this.#files.held(id))
    await writeNames(this.#files.names(id), sizeBytes, names.subarray(0, 0))
    return this.#createBlob({ id, cut, names, held: new Bitfield(cut.chunkCount) })
  }

  #openDraft(blob: BlobFile): OwnedDraft {
    blob.uses += 1
    const draft = createBlobDraft(
      { blob },
      {
        write: (to, index, bytes) => this.#write(to, index, bytes),
        onClosed: () => {
          blob.uses -= 1
          this.#drafts.delete(blob.id)
        },
        removeBlob: () => this.#change(() => this.#removeBlobUnlessListed(blob.id)),
      },
    )
    this.#drafts.set(blob.id, draft)
    return draft
  }

  #createBlob(init: BlobFileInit): BlobFile {
    const blob = new BlobFile(init, {
      files: this.#files,
      pool: this.#pool,
      onBytes: (changeBytes) => this.#budget.add(changeBytes),
    })
    this.#blobs.set(init.id, blob)
    return blob
  }

  async #remove(id: BundleId): Promise<void> {
    const bundle = this.#bundles.get(id)
    if (!bundle) return
    this.#bundles.delete(id)
    this.#pinned.delete(id)
    bundle.end(new BundleRemovedError(id))
    this.#budget.add(-bundle.descriptorBytes.length)
    for (const blob of bundle.blobs) {
      const isLast = blob.listedBy.size === 1
      // An open draft outlives the bundle, and needs its names on disk before they go.
      if (isLast && this.#drafts.has(blob.id)) await this.#turnIntoDraft(blob)
      blob.listedBy.delete(id)
    }
    await removeFiles(this.#files.descriptor(id))
    for (const blob of bundle.blobs) {
      if (!this.#drafts.has(blob.id)) await this.#removeBlobUnlessListed(blob.id)
    }
  }

  async #turnIntoDraft(blob: BlobFile): Promise<void> {
    const heldCount = blob.held.firstMissing()
    const known = blob.names.subarray(0, heldCount * 32)
    await writeNames(this.#files.names(blob.id), blob.cut.sizeBytes, known)
    for (let index = heldCount; index < blob.cut.chunkCount; index += 1) await blob.drop(index)
  }

  async #removeBlobUnlessListed(id: BlobId): Promise<void> {
    const blob = this.#blobs.get(id)
    if (!blob || blob.listedBy.size > 0) return
    this.#blobs.delete(id)
    await blob.remove()
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
    for (const blob of this.#blobs.values()) {
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
    for (const blob of this.#blobs.values()) {
      if (blob.listedBy.size > 0 || blob.uses > 0) continue
      this.#logger.info({ blob: blob.id }, 'an unfinished blob was evicted to make room')
      await this.#removeBlobUnlessListed(blob.id)
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
    for (const blob of [...this.#blobs.values()]) {
      if (blob.suspect) await blob.verify({ signal })
    }
    if (!signal.aborted) await writeVerifiedBoot(this.#files, bootId)
  }
}
