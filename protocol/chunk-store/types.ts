/**
 * What a chunk store promises: encrypted chunks of bundles, held under a byte budget, verified when
 * they come and when they are read. Nodes, caches and the swarm see only this.
 */
import type { Uint8ArrayList } from 'uint8arraylist'
import type {
  BlobCut,
  BundleLayout,
  ChunkSource,
  Descriptor,
  ReadonlyBitfield,
  Run,
} from '../bundle/index.ts'
import type { BlobId, BundleId } from '../ids.ts'

export interface BundleStore {
  /**
   * Registers a descriptor, so that its chunks can be put; harmless when it is registered already.
   * Blobs that a draft or another bundle brought are held at once, without a copy.
   * @throws {MalformedDescriptorError} @throws {BlobConflictError} @throws {BudgetExceededError}
   */
  add(descriptor: Uint8Array): Promise<StoredBundle>
  get(id: BundleId): StoredBundle | undefined
  /** All bundles, the least recently used first. */
  bundles(): readonly StoredBundle[]
  /** Keeps a bundle from being evicted until `unpin`. Not counted, not kept over a restart. */
  pin(id: BundleId): void
  unpin(id: BundleId): void
  /** Forgets a bundle, pinned or not, and the blobs that no other bundle lists. */
  remove(id: BundleId): Promise<void>
  /**
   * Opens a blob whose chunk names are not known yet, for ingest. What an earlier draft (of a
   * process that was killed) or a stored bundle holds of it is there: see `BlobDraft.heldCount`.
   * @throws {DraftInUseError} it is open already. @throws {BlobConflictError} another size is known.
   */
  createBlobDraft(id: BlobId, sizeBytes: number, chunkSizeBytes: number): Promise<BlobDraft>
  /** Forgets a draft that is not open, with its chunks. Harmless when there is none. */
  discardDraft(id: BlobId): Promise<void>
  /** Calls back after a bundle was removed or evicted. Returns the way to stop it. */
  onRemoved(listener: (bundle: BundleId) => void): () => void
  /** What the folder takes on disk, in whole blocks: chunks, those being written, descriptors, index. */
  readonly usedBytes: number
  readonly budgetBytes: number
  /**
   * Changes the budget; resolves when what no longer fits is gone. What is in use stays, and goes
   * as soon as it is not.
   */
  setBudget(budgetBytes: number): Promise<void>
  /** Resolves when what was found after a reboot has been verified; at once when none was needed. */
  whenVerified(): Promise<void>
  /** Lets writes under way finish, ends every wait with an error, closes files. Twice is harmless. */
  close(): Promise<void>
}

export interface StoredBundle extends ChunkSource {
  readonly id: BundleId
  readonly descriptor: Descriptor
  readonly descriptorBytes: Uint8Array
  readonly layout: BundleLayout
  /** By chunk number (see `BundleLayout`). It changes as chunks come, just before `onHeld`. */
  readonly held: ReadonlyBitfield
  readonly complete: boolean
  /**
   * Verifies the SHA-256 against the descriptor, then writes so that a kill -9 of this process
   * loses nothing. 'held': it was there already. `bytes` must not change until this resolves.
   * @param chunk from 0 below `layout.chunkCount`, here and below: check first what a peer says
   * @throws {WrongChunkError} @throws {BudgetExceededError} @throws {BundleRemovedError}
   */
  put(chunk: number, bytes: Uint8Array | Uint8ArrayList): Promise<'stored' | 'held'>
  /**
   * The chunk as it travels, verified after reading.
   * @throws {ChunkNotHeldError} @throws {ChunkRottenError} the disk changed it: no longer held now.
   * @throws {BundleRemovedError}
   */
  read(chunk: number, options?: { readonly signal?: AbortSignal }): Promise<Uint8Array>
  /** Adjacent chunks, one behind the other, for less than one by one. @throws as `read` does. */
  readRun(run: Run, options?: { readonly signal?: AbortSignal }): Promise<Uint8Array>
  /** Calls back, synchronously, after a chunk is held. Returns the way to stop it. */
  onHeld(listener: (chunk: number) => void): () => void
  /** Calls back after a chunk turned out rotten and is no longer held. */
  onLost(listener: (chunk: number) => void): () => void
  /** Resolves once the chunk is held. @throws {BundleRemovedError} @throws the signal's reason. */
  whenHeld(chunk: number, options: { readonly signal: AbortSignal }): Promise<void>
}

/** A whole blob, ready to stand in a descriptor. */
export type FinishedBlob = BlobCut & Readonly<{ id: BlobId; names: Uint8Array }>

/**
 * A blob being written by ingest, from its first chunk on. Names are persisted with the chunks, so
 * that a reader which is killed goes on where it was. A draft is kept from eviction while open.
 */
export interface BlobDraft extends BlobCut {
  readonly id: BlobId
  /** Chunks 0 to `heldCount` − 1 are held; when it equals `chunkCount`, nothing is to be read. */
  readonly heldCount: number
  /**
   * Writes a chunk under the name that it was given (not verified again). An `index` below
   * `heldCount` is passed over; above it is our bug.
   * @throws {BudgetExceededError} @throws {WrongChunkError} a stored bundle has another name for it
   */
  append(index: number, bytes: Uint8Array, name: Uint8Array): Promise<void>
  /** A held chunk as it travels, verified against its name. @throws {ChunkRottenError} */
  read(index: number): Promise<Uint8Array>
  /** The names of a whole blob, synced to disk. It stays open until a bundle lists it, or release. */
  finish(): Promise<FinishedBlob>
  /** Closes it and keeps what it holds, to be opened again; it may be evicted now. */
  release(): Promise<void>
  /** Closes it and removes its chunks, unless a bundle lists them. */
  discard(): Promise<void>
}
