/** What can go wrong between the chunk store, its disk, its budget and the peers that feed it. */
import { PotluckError, type PotluckErrorInit } from '../errors.ts'
import type { BlobId, BundleId } from '../ids.ts'

/** Bytes that are not the chunk they were sent as: the sender is to blame. */
export class WrongChunkError extends PotluckError {
  constructor(chunk: number, reason: string) {
    super('WRONG_CHUNK', `chunk ${chunk} is not what its descriptor names: ${reason}`, {
      fields: { chunk },
    })
  }
}

/** No room, and nothing left that may be evicted. */
export class BudgetExceededError extends PotluckError {
  constructor(neededBytes: number, usedBytes: number, budgetBytes: number) {
    super(
      'BUDGET_EXCEEDED',
      `${neededBytes} more bytes do not fit: ${usedBytes} of ${budgetBytes} are used by bundles ` +
        'in use; raise the budget or stop something',
      { fields: { neededBytes, usedBytes, budgetBytes } },
    )
  }
}

/** A chunk was asked for that is not here (yet). */
export class ChunkNotHeldError extends PotluckError {
  constructor(chunk: number) {
    super('CHUNK_NOT_HELD', `chunk ${chunk} is not held`, { fields: { chunk } })
  }
}

/** The disk returned other bytes than were written: the chunk is no longer held. */
export class ChunkRottenError extends PotluckError {
  constructor(chunk: number) {
    super('CHUNK_ROTTEN', `chunk ${chunk} had changed on disk and was dropped`, {
      fields: { chunk },
    })
  }
}

/** The bundle was removed or evicted while it was being used. */
export class BundleRemovedError extends PotluckError {
  constructor(bundle: BundleId) {
    super('BUNDLE_REMOVED', `bundle ${bundle} is no longer stored`, { fields: { bundle } })
  }
}

/** The blob was removed while it was being used; see {@link BundleRemovedError}. */
export class BlobRemovedError extends PotluckError {
  constructor(blob: BlobId) {
    super('BLOB_REMOVED', `blob ${blob} is no longer stored`, { fields: { blob } })
  }
}

/** Two descriptors, or a draft and a descriptor, disagree about a blob. */
export class BlobConflictError extends PotluckError {
  constructor(blob: BlobId, reason: string) {
    super('BLOB_CONFLICT', `blob ${blob} is stored otherwise: ${reason}`, { fields: { blob } })
  }
}

/** A blob is being written already: join that write. */
export class DraftInUseError extends PotluckError {
  constructor(blob: BlobId) {
    super('DRAFT_IN_USE', `blob ${blob} is being written already`, { fields: { blob } })
  }
}

/** A draft was used after it was released, taken over by a bundle, or closed with the store. */
export class DraftClosedError extends PotluckError {
  constructor(blob: BlobId) {
    super('DRAFT_CLOSED', `the draft of blob ${blob} is closed`, { fields: { blob } })
  }
}

/** A draft was to be finished before all of its chunks had come. */
export class DraftIncompleteError extends PotluckError {
  constructor(blob: BlobId, heldCount: number, chunkCount: number) {
    super('DRAFT_INCOMPLETE', `blob ${blob} has ${heldCount} of ${chunkCount} chunks`, {
      fields: { blob, heldCount, chunkCount },
    })
  }
}

/** The store was closed. */
export class StoreClosedError extends PotluckError {
  constructor() {
    super('STORE_CLOSED', 'the chunk store is closed')
  }
}

/** The disk refused a read or a write (full, gone, read-only). */
export class StoreDiskError extends PotluckError {
  constructor(action: string, init: PotluckErrorInit) {
    super('STORE_DISK', `the chunk store cannot ${action}`, init)
  }
}
