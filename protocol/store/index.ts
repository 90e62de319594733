/** Durable state behind one small interface; LevelDB is the embedded default. */
export { type Collection, collection } from './collection.ts'
export {
  StoreBusyError,
  StoreClosedError,
  StoreFailedError,
  StoreLockedError,
  StoreOpenError,
  StoreRecordError,
  StoreValueError,
} from './errors.ts'
export { createLevelStore, type LevelStoreInit } from './level-store.ts'
export { createMemoryStore } from './memory-store.ts'
export type { Store, StoreEntry, StoreOperation, StoreRange, StoreValue } from './store.ts'
