/**
 * The bundles of a store in the order of their use, and which of them may go when room is needed:
 * the least recently useful first. Of use is what the engine reads, what peers ask for, what comes
 * in, and what is pinned because an instance needs it. Decides only; the store carries it out.
 */
import { utimes } from 'node:fs/promises'
import type { BundleId } from '../ids.ts'
import type { BlobFile } from './blob-file.ts'
import type { StoreFiles } from './disk.ts'
import { fileDiskBytes } from './disk-size.ts'
import type { OwnedBundle } from './stored-bundle.ts'

/** How often it is put on disk that a bundle is of use. */
const persistMs = 60_000

/** What may be evicted next. */
export type Victim = { readonly bundle: OwnedBundle } | { readonly draft: BlobFile }

/** Bundles by how lately they were of use; nothing is removed by it. */
export class Shelf {
  readonly #files: Pick<StoreFiles, 'descriptor'>
  readonly #bundles = new Map<BundleId, OwnedBundle>() // the least recently used first
  readonly #pinned = new Set<BundleId>()
  readonly #persistedMs = new Map<BundleId, number>()

  constructor({ files }: { readonly files: Pick<StoreFiles, 'descriptor'> }) {
    this.#files = files
  }

  get(id: BundleId): OwnedBundle | undefined {
    return this.#bundles.get(id)
  }

  all(): readonly OwnedBundle[] {
    return [...this.#bundles.values()]
  }

  add(bundle: OwnedBundle): void {
    this.#bundles.set(bundle.id, bundle)
  }

  remove(id: BundleId): void {
    this.#bundles.delete(id)
    this.#pinned.delete(id)
    this.#persistedMs.delete(id)
  }

  pin(id: BundleId): void {
    this.#pinned.add(id)
    this.#use(id)
  }

  /** Returns whether it was pinned. */
  unpin(id: BundleId): boolean {
    if (!this.#pinned.delete(id)) return false
    this.#use(id)
    return true
  }

  /** It was just of use. */
  touch(id: BundleId): void {
    const bundle = this.#bundles.get(id)
    if (!bundle) return
    this.#bundles.delete(id)
    this.#bundles.set(id, bundle)
    const lastMs = this.#persistedMs.get(id)
    if (lastMs === undefined || performance.now() - lastMs >= persistMs) this.#persist(id)
  }

  /** How many bytes of disk evicting all that may go would free. */
  evictableBytes(blobs: readonly BlobFile[]): number {
    let bytes = 0
    const stays = new Set<BundleId>()
    for (const bundle of this.#bundles.values()) {
      if (this.#mayGo(bundle)) bytes += fileDiskBytes(bundle.descriptorBytes.length)
      else stays.add(bundle.id)
    }
    for (const blob of blobs) {
      const isFree = blob.uses === 0 && stays.isDisjointFrom(blob.listedBy)
      if (isFree) bytes += blob.disk.bytes
    }
    return bytes
  }

  /** A bundle first, the least recently used; then a draft that nobody came back to. */
  next(blobs: readonly BlobFile[]): Victim | undefined {
    for (const bundle of this.#bundles.values()) if (this.#mayGo(bundle)) return { bundle }
    for (const draft of blobs) {
      if (draft.listedBy.size === 0 && draft.uses === 0) return { draft }
    }
    return undefined
  }

  #mayGo(bundle: OwnedBundle): boolean {
    return !this.#pinned.has(bundle.id) && bundle.blobs.every((blob) => blob.uses === 0)
  }

  #use(id: BundleId): void {
    this.#persistedMs.delete(id)
    this.touch(id)
  }

  /** The order over restarts rests on the descriptors' times: a hint, so failure is none. */
  #persist(id: BundleId): void {
    this.#persistedMs.set(id, performance.now())
    const now = new Date()
    void utimes(this.#files.descriptor(id), now, now).catch(() => undefined)
  }
}
