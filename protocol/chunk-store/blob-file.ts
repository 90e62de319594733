/**
 * One blob on disk: a sparse file of chunks and a bitmap. Bundles that list the blob and the draft
 * that writes it share this one object, so a chunk is written once and all of them hear of it.
 */
import assert from 'node:assert/strict'
import type { FileHandle } from 'node:fs/promises'
import type { Uint8ArrayList } from 'uint8arraylist'
import {
  type Bitfield,
  type BlobCut,
  chunkNameBytes,
  type ReadonlyBitfield,
  type Run,
  tagBytes,
  travelBytesOf,
} from '../bundle/index.ts'
import type { BlobId, BundleId } from '../ids.ts'
import type { ChunksRead, ChunkThread } from './chunk-thread.ts'
import { removeFiles, type StoreFiles, writeAt } from './disk.ts'
import { createDiskAccount, type DiskAccount } from './disk-account.ts'
import { namesHeaderBytes } from './draft-names.ts'
import { BlobRemovedError, ChunkNotHeldError, ChunkRottenError, StoreDiskError } from './errors.ts'
import type { FilePool } from './file-pool.ts'

export type BlobFileInit = Readonly<{
  id: BlobId
  cut: BlobCut
  /** Chunk names, 32 bytes each; of a draft, those known so far and zeroes. It is kept, not copied. */
  names: Buffer
  held: Bitfield
}>

export type BlobFileComponents = Readonly<{
  files: StoreFiles
  pool: FilePool
  thread: ChunkThread
  /** Told of every change of the bytes taken on disk. */
  onBytes(changeBytes: number): void
}>

export type BlobListener = Readonly<{ held(index: number): void; lost(index: number): void }>

export type WriteOutcome = 'stored' | 'held' | 'wrong'

/** One blob: its chunks in one file, its bits in another. */
export class BlobFile {
  readonly id: BlobId
  readonly cut: BlobCut
  readonly names: Buffer
  /** The bundles that list it; none: it is a draft. */
  readonly listedBy = new Set<BundleId>()
  readonly listeners = new Set<BlobListener>()
  /** Writers and open drafts: while there are any, it is not evicted. */
  uses = 0
  /** Found after a reboot and not verified since. */
  suspect = false
  readonly #held: Bitfield
  readonly #writing = new Map<number, Promise<boolean>>()
  readonly #components: BlobFileComponents
  readonly #under = new Set<Promise<unknown>>()
  /** What its files take of the disk. */
  readonly disk: DiskAccount
  #removed = false

  constructor(init: BlobFileInit, components: BlobFileComponents) {
    this.id = init.id
    this.cut = init.cut
    this.names = init.names
    this.#held = init.held
    this.#components = components
    this.disk = createDiskAccount(init, components)
  }

  get held(): ReadonlyBitfield {
    return this.#held
  }

  nameOf(index: number): Buffer {
    return this.names.subarray(index * chunkNameBytes, (index + 1) * chunkNameBytes)
  }

  /**
   * Writes a chunk, then its bit. 'held': it was, or another write did it. 'wrong': it has another
   * name, and was not written.
   * @param verify whether the bytes come from others; a draft's chunks were named by ourselves
   */
  async write(
    index: number,
    bytes: Uint8Array | Uint8ArrayList,
    verify: boolean,
  ): Promise<WriteOutcome> {
    for (;;) {
      if (this.#removed) throw new BlobRemovedError(this.id)
      if (this.#held.has(index)) return 'held'
      const other = this.#writing.get(index)
      if (!other) break
      // What another peer sent may be wrong: these bytes are tried then.
      await other.catch(() => undefined)
    }
    const written = this.#track(this.#writeChunk(index, bytes, verify))
    this.#writing.set(index, written)
    try {
      return (await written) ? 'stored' : 'wrong'
    } finally {
      this.#writing.delete(index)
    }
  }

  /**
   * Adjacent chunks as they travel, one behind the other.
   * @throws {ChunkNotHeldError} @throws {ChunkRottenError} it is dropped, a draft's later ones too.
   */
  async read(run: Run): Promise<Uint8Array> {
    if (this.#removed) throw new BlobRemovedError(this.id)
    for (let index = run.start; index < run.start + run.count; index += 1) {
      if (!this.#held.has(index)) throw new ChunkNotHeldError(index)
    }
    return await this.#track(this.#readVerified(run))
  }

  async #readVerified(run: Run): Promise<Uint8Array> {
    const { bytes, good } = await this.#readChunks(run)
    const rotten = good.indexOf(false)
    if (rotten < 0) return bytes
    for (const [at, isGood] of good.entries()) if (!isGood) await this.drop(run.start + at)
    throw new ChunkRottenError(run.start + rotten)
  }

  /** No longer holds a chunk; of a draft, none of those after it either: it is a prefix. */
  async drop(index: number): Promise<void> {
    const end = this.listedBy.size > 0 ? index + 1 : this.cut.chunkCount
    let count = 0
    for (let at = index; at < end; at += 1) {
      if (!this.#held.set(at, false)) continue
      count = at + 1 - index
      for (const listener of this.listeners) listener.lost(at)
    }
    if (count === 0) return
    const { files, thread } = this.#components
    await this.#track(
      this.#use('unset a bit', files.held(this.id), ({ fd }) =>
        thread.unset({ fd, number: index }, count),
      ),
    )
  }

  /** Takes a descriptor's names for those of a draft; chunks that it named otherwise are dropped. */
  async rename(names: Buffer): Promise<void> {
    for (let index = 0; index < this.cut.chunkCount; index += 1) {
      const name = names.subarray(index * chunkNameBytes, (index + 1) * chunkNameBytes)
      if (name.equals(this.nameOf(index))) continue
      await this.drop(index)
      this.nameOf(index).set(name)
    }
  }

  /** Reads every held chunk; what has rotted is dropped. @param signal ends it between two chunks. */
  async verify({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    for (let index = 0; index < this.cut.chunkCount; index += 1) {
      if (signal.aborted || this.#removed) return
      if (!this.#held.has(index)) continue
      await this.read({ start: index, count: 1 }).catch((error: unknown) => {
        if (!isExpectedLoss(error)) throw error
      })
    }
    this.suspect = false
  }

  /** Syncs the files to disk, for what a power cut should not cost. */
  async sync(): Promise<void> {
    const { files } = this.#components
    const paths = [files.chunks(this.id), files.held(this.id)]
    if (this.listedBy.size === 0) paths.push(files.names(this.id))
    for (const path of paths) {
      await this.#track(this.#use('sync a blob', path, (file) => file.datasync()))
    }
  }

  /** Persists the name of a draft's chunk, which `names` has already. */
  async writeName(index: number): Promise<void> {
    const path = this.#components.files.names(this.id)
    const position = namesHeaderBytes + index * chunkNameBytes
    await this.#track(
      this.#use('write a name', path, (file) => writeAt(file, this.nameOf(index), position)),
    )
  }

  /** Resolves when no read or write is under way. */
  async idle(): Promise<void> {
    while (this.#under.size > 0) await Promise.allSettled(this.#under)
  }

  /** Ends all use and removes the files. */
  async remove(): Promise<void> {
    this.#removed = true
    await this.idle()
    const { files, pool } = this.#components
    const paths = [files.chunks(this.id), files.held(this.id), files.names(this.id)]
    for (const path of paths) await pool.forget(path)
    await removeFiles(...paths)
    this.disk.removed()
  }

  /** False: it has another name. */
  async #writeChunk(
    index: number,
    bytes: Uint8Array | Uint8ArrayList,
    verify: boolean,
  ): Promise<boolean> {
    assert(bytes.length === travelBytesOf(this.cut, index), 'a chunk of another length')
    const { files, thread } = this.#components
    const put = { position: this.#positionOf(index), bytes }
    const name = verify ? this.nameOf(index) : undefined
    let good = true
    try {
      good = await this.#use('write a chunk', files.chunks(this.id), ({ fd }) =>
        this.#use('set a bit', files.held(this.id), (held) =>
          thread.write({ ...put, fd, name, bit: { fd: held.fd, number: index } }),
        ),
      )
    } finally {
      // One that failed may have taken room all the same.
      if (good) this.disk.written(index)
    }
    if (!good) return false
    this.#held.set(index)
    for (const listener of this.listeners) listener.held(index)
    return true
  }

  async #readChunks({ start, count }: Run): Promise<ChunksRead> {
    const path = this.#components.files.chunks(this.id)
    const lengths = Array.from({ length: count }, (_, at) => travelBytesOf(this.cut, start + at))
    const position = this.#positionOf(start)
    // A copy: a message to the thread would otherwise take the names of the whole blob along.
    const names = Uint8Array.from(
      this.names.subarray(start * chunkNameBytes, (start + count) * chunkNameBytes),
    )
    return await this.#use('read a chunk', path, ({ fd }) =>
      this.#components.thread.read({ fd, position, lengths, names }),
    )
  }

  async #use<T>(action: string, path: string, work: (file: FileHandle) => Promise<T>): Promise<T> {
    try {
      return await this.#components.pool.use(path, work)
    } catch (cause) {
      throw new StoreDiskError(action, { cause, fields: { blob: this.id } })
    }
  }

  #positionOf(index: number): number {
    return index * (this.cut.chunkSizeBytes + tagBytes)
  }

  /** Counts `work` as under way, so that removing and closing wait for it. */
  async #track<T>(work: Promise<T>): Promise<T> {
    this.#under.add(work)
    try {
      return await work
    } finally {
      this.#under.delete(work)
    }
  }
}

function isExpectedLoss(error: unknown): boolean {
  return error instanceof ChunkRottenError || error instanceof BlobRemovedError
}
