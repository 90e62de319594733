/**
 * The blobs of a store by id, and the drafts over them: one object a blob, whoever lists or writes
 * it. A blob that no bundle lists is a draft; a draft that a bundle lists becomes its blob, without
 * a copy. All but the getters run under the store's lock: one at a time.
 */
import type { Uint8ArrayList } from 'uint8arraylist'
import {
  Bitfield,
  type BlobCut,
  cutFor,
  type Descriptor,
  type DescriptorBlob,
} from '../bundle/index.ts'
import type { BlobId, BundleId } from '../ids.ts'
import { readBitmap } from './bitmap-file.ts'
import { createBlobDraft, type OwnedDraft } from './blob-draft.ts'
import { BlobFile, type BlobFileInit, type WriteOutcome } from './blob-file.ts'
import type { ChunkThread } from './chunk-thread.ts'
import { removeFiles, type StoreFiles } from './disk.ts'
import { blobBaseDiskBytes, blobDiskBytes } from './disk-size.ts'
import { writeNames } from './draft-names.ts'
import { BlobConflictError, DraftInUseError } from './errors.ts'
import type { FilePool } from './file-pool.ts'
import type { BlobDraft } from './types.ts'

export type BlobTableComponents = Readonly<{
  files: StoreFiles
  pool: FilePool
  thread: ChunkThread
  /** Told of every change of the bytes taken on disk. */
  onBytes(changeBytes: number): void
  /** Writes a chunk under the budget. */
  write(blob: BlobFile, index: number, bytes: Uint8Array | Uint8ArrayList): Promise<WriteOutcome>
  /** Runs a change under the store's lock. */
  change<T>(work: () => Promise<T>): Promise<T>
}>

/** All blobs and open drafts of a store, and which bundles list them. */
export class BlobTable {
  readonly #blobs = new Map<BlobId, BlobFile>()
  readonly #drafts = new Map<BlobId, OwnedDraft>() // those that are open
  readonly #components: BlobTableComponents

  constructor(components: BlobTableComponents) {
    this.#components = components
  }

  get(id: BlobId): BlobFile | undefined {
    return this.#blobs.get(id)
  }

  all(): readonly BlobFile[] {
    return [...this.#blobs.values()]
  }

  /** What the blobs of a bundle that are new here take on disk before their first chunk. */
  indexBytes({ blobs }: Descriptor): number {
    return blobs.reduce((sum, { id, sizeBytes }) => {
      return this.#blobs.has(id) ? sum : sum + blobBaseDiskBytes(cutFor(sizeBytes))
    }, 0)
  }

  /** What those chunks of a bundle that are not here will take at most. */
  missingBytes({ blobs }: Descriptor): number {
    return blobs.reduce((sum, { id, sizeBytes }) => {
      const cut = cutFor(sizeBytes)
      const here = this.#blobs.get(id)?.disk.bytes ?? blobBaseDiskBytes(cut)
      return sum + Math.max(0, blobDiskBytes(cut) - here)
    }, 0)
  }

  /** A draft found at the start. */
  restoreDraft(init: BlobFileInit): void {
    this.#create(init).disk.setDraft(true)
  }

  /** A blob of a bundle found at the start; its bitmap is on disk. */
  async restore({ id, names, sizeBytes }: DescriptorBlob): Promise<void> {
    if (this.#blobs.has(id)) return
    const cut = cutFor(sizeBytes)
    const held = await readBitmap(this.#components.files.held(id), cut.chunkCount)
    this.#create({ id, cut, names: Buffer.from(names), held })
  }

  /** @throws {BlobConflictError} the descriptor says otherwise than what is stored. */
  refuseConflict({ id, names, sizeBytes }: DescriptorBlob): void {
    const known = this.#blobs.get(id)
    if (!known) return
    refuseOtherSize(known, sizeBytes)
    if (known.listedBy.size > 0 && !known.names.equals(names)) {
      throw new BlobConflictError(id, 'another bundle names its chunks otherwise')
    }
  }

  /** The blob that a descriptor lists; a draft of it becomes it, less what was named otherwise. */
  async adopt({ id, names, sizeBytes }: DescriptorBlob, bundle: BundleId): Promise<BlobFile> {
    const known = this.#blobs.get(id)
    if (!known) {
      const blob = this.#createEmpty(id, cutFor(sizeBytes), Buffer.from(names))
      blob.listedBy.add(bundle)
      return blob
    }
    const wasDraft = known.listedBy.size === 0
    known.listedBy.add(bundle)
    if (!wasDraft) return known
    await known.rename(Buffer.from(names))
    const draft = this.#drafts.get(id)
    if (draft?.finished) draft.close()
    const { files, pool } = this.#components
    await pool.forget(files.names(id))
    await removeFiles(files.names(id))
    known.disk.setDraft(false)
    return known
  }

  /**
   * A bundle no longer lists these blobs. A draft that is open outlives it, and has its names on
   * disk before `forgetBundle` takes the descriptor away; the rest goes if nobody lists it.
   */
  async leave(
    bundle: BundleId,
    blobs: readonly BlobFile[],
    forgetBundle: () => Promise<void>,
  ): Promise<void> {
    for (const blob of blobs) {
      const isLast = blob.listedBy.size === 1
      if (isLast && this.#drafts.has(blob.id)) await this.#turnIntoDraft(blob)
      blob.listedBy.delete(bundle)
    }
    await forgetBundle()
    for (const blob of blobs) {
      if (!this.#drafts.has(blob.id)) await this.removeUnlessListed(blob.id)
    }
  }

  /** @throws {DraftInUseError} @throws {BlobConflictError} */
  async openDraft(
    id: BlobId,
    { sizeBytes, chunkSizeBytes }: Pick<BlobCut, 'sizeBytes' | 'chunkSizeBytes'>,
    options: { readonly signal: AbortSignal },
  ): Promise<BlobDraft> {
    if (this.#drafts.has(id)) throw new DraftInUseError(id)
    const cut = cutFor(sizeBytes)
    if (cut.chunkSizeBytes !== chunkSizeBytes) {
      throw new BlobConflictError(id, `${sizeBytes} bytes are cut by ${cut.chunkSizeBytes}`)
    }
    const known = this.#blobs.get(id)
    if (known) refuseOtherSize(known, sizeBytes)
    const blob = known ?? (await this.#beginDraft(id, cut))
    // What a reboot may have cost is found before the caller relies on it.
    if (blob.suspect) await blob.verify(options)
    blob.uses += 1
    const { write, change } = this.#components
    const onClosed = (): void => {
      blob.uses -= 1
      this.#drafts.delete(id)
    }
    const removeBlob = (): Promise<void> => change(() => this.removeUnlessListed(id))
    const draft = createBlobDraft({ blob }, { write, onClosed, removeBlob })
    this.#drafts.set(id, draft)
    return draft
  }

  /** Forgets a draft that is not open. @throws {DraftInUseError} */
  async discardDraft(id: BlobId): Promise<void> {
    if (this.#drafts.has(id)) throw new DraftInUseError(id)
    await this.removeUnlessListed(id)
  }

  async removeUnlessListed(id: BlobId): Promise<void> {
    const blob = this.#blobs.get(id)
    if (!blob || blob.listedBy.size > 0) return
    this.#blobs.delete(id)
    await blob.remove()
  }

  /** Ends all use of drafts, and waits for what is being read and written. */
  async close(): Promise<void> {
    for (const draft of this.#drafts.values()) draft.close()
    for (const blob of this.#blobs.values()) await blob.idle()
  }

  async #beginDraft(id: BlobId, cut: BlobCut): Promise<BlobFile> {
    const { files } = this.#components
    await removeFiles(files.chunks(id), files.held(id))
    await writeNames(files.names(id), cut.sizeBytes, new Uint8Array())
    const blob = this.#createEmpty(id, cut, Buffer.alloc(cut.chunkCount * 32))
    blob.disk.setDraft(true)
    return blob
  }

  async #turnIntoDraft(blob: BlobFile): Promise<void> {
    const heldCount = blob.held.firstMissing()
    const known = blob.names.subarray(0, heldCount * 32)
    blob.disk.setDraft(true)
    await writeNames(this.#components.files.names(blob.id), blob.cut.sizeBytes, known)
    for (let index = heldCount; index < blob.cut.chunkCount; index += 1) await blob.drop(index)
  }

  #createEmpty(id: BlobId, cut: BlobCut, names: Buffer): BlobFile {
    return this.#create({ id, cut, names, held: new Bitfield(cut.chunkCount) })
  }

  #create(init: BlobFileInit): BlobFile {
    const blob = new BlobFile(init, this.#components)
    this.#blobs.set(init.id, blob)
    return blob
  }
}

function refuseOtherSize(known: BlobFile, sizeBytes: number): void {
  if (known.cut.sizeBytes === sizeBytes) return
  throw new BlobConflictError(known.id, `it has ${known.cut.sizeBytes} bytes, not ${sizeBytes}`)
}
