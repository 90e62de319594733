/** Encrypted chunks on disk, under a byte budget. `createBundleStore` comes with the next commit. */
export {
  BlobConflictError,
  BudgetExceededError,
  BundleRemovedError,
  ChunkNotHeldError,
  ChunkRottenError,
  DraftIncompleteError,
  DraftInUseError,
  StoreClosedError,
  StoreDiskError,
  WrongChunkError,
} from './errors.ts'
export type { BlobDraft, BundleStore, FinishedBlob, StoredBundle } from './types.ts'
