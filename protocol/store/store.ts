/**
 * Where a process keeps what must outlive it: ordered string keys, plain data as values. Small on
 * purpose, so that a PostgreSQL driver can implement it with one table. Without the durability
 * rule below a coordinator could forget an epoch it has handed out and serve a slot twice.
 *
 * Durability: when `put`, `delete` or `batch` resolves, the change is on disk, and it outlives
 * `kill -9` and a power cut. Until then it may or may not be there after a crash, a batch always
 * as a whole. Writes take effect in the order in which they were called.
 */

/** What can be stored: CBOR-encodable plain data. `undefined` properties are left out, as in JSON. */
export type StoreValue =
  | string
  | number
  | bigint
  | boolean
  | null
  | Uint8Array
  | readonly StoreValue[]
  | { readonly [name: string]: StoreValue | undefined }

export type StoreOperation =
  | Readonly<{ type: 'put'; key: string; value: unknown }>
  | Readonly<{ type: 'del'; key: string }>

/** Bounds of a read; all that are given hold. Keys compare by their UTF-8 bytes. */
export type StoreRange = Readonly<{
  prefix?: string
  gt?: string
  gte?: string
  lt?: string
  lte?: string
  /** From the last key to the first. Default false. */
  reverse?: boolean
  /** At most so many entries. Default: all. */
  limit?: number
  /** Ends the iteration with the signal's reason. */
  signal?: AbortSignal
}>

export type StoreEntry<V = unknown> = readonly [key: string, value: V]

export interface Store {
  /**
   * The value last acknowledged under `key`, or undefined. The caller owns it: every read decodes
   * anew. Validate it, or use `collection`.
   * @throws {StoreRecordError} The bytes on disk are not what was written.
   */
  get(key: string): Promise<unknown>
  /**
   * @throws {StoreValueError} The key or the value cannot be stored (a bug of the caller).
   * @throws {StoreBusyError} The write queue is full; nothing was written, and a retry may do.
   * @throws {StoreFailedError} The disk refused a write; every later write is refused too.
   */
  put(key: string, value: unknown): Promise<void>
  /** Deleting what is not there is fine. @throws as `put`. */
  delete(key: string): Promise<void>
  /** All operations or none; of two on one key the later wins. @throws as `put`. */
  batch(operations: readonly StoreOperation[]): Promise<void>
  /**
   * Entries in key order, as of the moment the iteration starts.
   * @throws {StoreRecordError} at the entry whose bytes are not what was written.
   */
  entries(range?: StoreRange): AsyncIterable<StoreEntry>
  /** Waits for the writes accepted so far, then releases the disk. Twice is harmless. */
  close(): Promise<void>
}
