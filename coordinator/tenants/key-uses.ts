/**
 * When each key was used last, so that an operator sees which may go. Coarse: written at most once
 * a minute for a key, and no request waits for it; a crash forgets a minute.
 */
import type { Logger } from '../../protocol/log/index.ts'
import type { Store } from '../../protocol/store/index.ts'
import { type Change, openTable } from '../tables/index.ts'
import { KeyUseSchema } from './records.ts'

const writtenEveryMs = 60_000

export interface KeyUses {
  note(keyId: string): void
  lastMs(keyId: string): number | undefined
  forgetting(keyId: string): Change
}

export type KeyUsesComponents = Readonly<{ store: Store; nowMs: () => number; logger: Logger }>

/** @param isKey what was noted of keys that are no more is forgotten */
export async function openKeyUses(
  isKey: (keyId: string) => boolean,
  { store, nowMs, logger }: KeyUsesComponents,
): Promise<KeyUses> {
  const uses = await openTable('api-key-uses', KeyUseSchema, { store, keyOf: ({ keyId }) => keyId })
  for (const { keyId } of uses.all()) if (!isKey(keyId)) await uses.delete(keyId)
  /** Began to be written then. */
  const writtenMs = new Map<string, number>()

  return {
    note(keyId) {
      const lastUsedMs = nowMs()
      const beforeMs = writtenMs.get(keyId) ?? uses.get(keyId)?.lastUsedMs
      // A clock that was set back must not silence it for as long.
      if (beforeMs !== undefined && Math.abs(lastUsedMs - beforeMs) < writtenEveryMs) return
      writtenMs.set(keyId, lastUsedMs)
      uses.put({ keyId, lastUsedMs }).catch((error: unknown) => {
        logger.warn({ keyId, error }, 'when an API key was used last could not be written')
      })
    },
    lastMs: (keyId) => uses.get(keyId)?.lastUsedMs,
    forgetting(keyId) {
      writtenMs.delete(keyId)
      return uses.deleting(keyId)
    },
  }
}
