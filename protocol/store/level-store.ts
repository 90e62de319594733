/** The embedded store: LevelDB in a folder, every acknowledged write synced to disk. */
import { mkdir } from 'node:fs/promises'
import { Level } from 'level'
import { errorCode } from '../errors.ts'
import { type ByteDatabase, type ByteStoreInit, createByteStore } from './byte-store.ts'
import { StoreLockedError, StoreOpenError } from './errors.ts'
import type { Store } from './store.ts'

export type LevelStoreInit = ByteStoreInit & Readonly<{ path: string }>

/** Opens a LevelDB folder; replaceable so that tests can put a lying disk below. */
export type OpenDatabase = (path: string) => Promise<ByteDatabase>

/**
 * Opens, or makes (mode 0700), the store in the folder `path`.
 * @throws {StoreLockedError} Another process has it open.
 * @throws {StoreOpenError} It cannot be opened; the cause says why.
 */
export async function createLevelStore(
  { path, ...init }: LevelStoreInit,
  { open = openLevel }: { readonly open?: OpenDatabase } = {},
): Promise<Store> {
  return createByteStore(await open(path), init)
}

async function openLevel(path: string): Promise<ByteDatabase> {
  const encodings = { keyEncoding: 'view', valueEncoding: 'view' } as const
  const level = new Level<Uint8Array, Uint8Array>(path, encodings)
  try {
    await mkdir(path, { recursive: true, mode: 0o700 })
    await level.open()
  } catch (error) {
    await level.close()
    const cause = error instanceof Error && error.cause ? error.cause : error
    throw errorCode(cause) === 'LEVEL_LOCKED'
      ? new StoreLockedError(path, cause)
      : new StoreOpenError(path, cause)
  }
  return {
    get: (key) => level.get(key),
    async write(operations) {
      await level.batch(
        operations.map(({ key, value }) =>
          value ? { type: 'put' as const, key, value } : { type: 'del' as const, key },
        ),
        // Without it a power cut takes the last writes that were acknowledged.
        { sync: true },
      )
    },
    entries: ({ start, end, reverse, limit }) =>
      level.iterator({
        ...(start ? { gte: start } : {}),
        ...(end ? { lt: end } : {}),
        reverse,
        limit: Number.isFinite(limit) ? limit : -1,
      }),
    close: () => level.close(),
  }
}
