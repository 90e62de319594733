/** Encrypted chunks on disk, under a byte budget. */
export {
  type BundleStoreComponents,
  type BundleStoreInit,
  openBundleStore,
} from './bundle-store.ts'
export {
  BlobConflictError,
  BudgetExceededError,
  BundleRemovedError,
  ChunkNotHeldError,
  ChunkRottenError,
  DraftClosedError,
  DraftIncompleteError,
  DraftInUseError,
  StoreClosedError,
  StoreDiskError,
  WrongChunkError,
} from './errors.ts'
export type { BlobDraft, BundleStore, FinishedBlob, StoredBundle } from './types.ts'
