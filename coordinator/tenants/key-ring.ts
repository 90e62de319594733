/**
 * API keys: made, accepted from files, found, revoked. Of a key only its SHA-256 is kept: keys are
 * long and random, so a stolen database opens nothing and no slow hash is needed.
 */
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import type { Logger } from '../../protocol/log/index.ts'
import type { Store } from '../../protocol/store/index.ts'
import { type Change, commit, openTable } from '../tables/index.ts'
import { ApiKeyError, KeyNotFoundError } from './errors.ts'
import { KeyIndex } from './key-index.ts'
import { openKeyUses } from './key-uses.ts'
import { type ApiKeyInfo, type ApiKeyRecord, ApiKeySchema, type Grant } from './records.ts'

export type KeyInit = Readonly<{ label: string; expiresMs?: number | undefined }>
/** A new key. `key` is the secret, and shown this once. */
export type MadeKey = Readonly<{ id: string; key: string; info: ApiKeyInfo }>

export interface KeyRing {
  /** The key's record while it opens anything; its use is noted. */
  use(key: string): ApiKeyRecord | undefined
  make(grant: Grant, init: KeyInit): Promise<MadeKey>
  /**
   * Accepts a key that someone else made; one that was revoked stays so.
   * @throws {ApiKeyError} too short, or another's.
   */
  accept(grant: Grant, key: string, label: string): Promise<ApiKeyInfo>
  all(): readonly ApiKeyInfo[]
  /** @throws {KeyNotFoundError} */
  get(id: string): ApiKeyInfo
  /** Ends a key at once; unknown ones are fine. */
  revoke(id: string): Promise<void>
  /** Ends a key that the configuration names no more: it may come back with its file. */
  forget(id: string): Promise<void>
  /** Of what is deleted itself. */
  forgetting(isIt: (grant: Grant) => boolean): readonly Change[]
}

/** What a key from a file must have at least: 128 bits of hex, and twice that to be an admin. */
const keyLengthMin = 16
const adminKeyLengthMin = 32

/** A key as Potluck makes them: 256 random bits, with a start that secret scanners can look for. */
export function makeApiKeyText(): string {
  return `potluck_${randomBytes(32).toString('base64url')}`
}

export type KeyRingComponents = Readonly<{ store: Store; nowMs: () => number; logger: Logger }>

export async function openKeyRing(components: KeyRingComponents): Promise<KeyRing> {
  const { store, nowMs } = components
  const keys = await openTable('api-keys', ApiKeySchema, {
    store,
    keyOf: ({ id }) => id,
    // Two requests with one new key must not make two records.
    nameOf: ({ hash }) => Buffer.from(hash).toString('hex'),
  })
  const uses = await openKeyUses((id) => keys.get(id) !== undefined, components)
  const index = new KeyIndex<ApiKeyRecord>()
  for (const key of keys.all()) index.add(key)

  const put = async (record: ApiKeyRecord): Promise<ApiKeyRecord> => {
    await keys.put(record)
    index.add(record)
    return record
  }
  const deleting = (record: ApiKeyRecord): readonly Change[] => {
    const change = keys.deleting(record.id)
    return [
      {
        ...change,
        before() {
          change.before()
          index.remove(record)
        },
        undo() {
          change.undo()
          index.add(record)
        },
      },
      uses.forgetting(record.id),
    ]
  }
  const infoOf = ({ hash: _, ...info }: ApiKeyRecord): ApiKeyInfo => {
    const lastUsedMs = uses.lastMs(info.id)
    return lastUsedMs === undefined ? info : { ...info, lastUsedMs }
  }
  const recordOf = (grant: Grant, about: Omit<ApiKeyRecord, 'id' | 'grant' | 'createdMs'>) => {
    return { id: randomUUID(), grant, createdMs: nowMs(), ...about }
  }

  const ring: KeyRing = {
    use(key) {
      const found = index.find(hashOf(key))
      if (!found || found.revokedMs !== undefined) return undefined
      if (found.expiresMs !== undefined && found.expiresMs <= nowMs()) return undefined
      uses.note(found.id)
      return found
    },
    async make(grant, { label, expiresMs }) {
      const key = makeApiKeyText()
      const about = { hash: hashOf(key), source: 'made' as const, label }
      const record = await put(recordOf(grant, { ...about, ...(expiresMs && { expiresMs }) }))
      return { id: record.id, key, info: infoOf(record) }
    },
    async accept(grant, key, label) {
      const lengthMin = grant.to === 'admin' ? adminKeyLengthMin : keyLengthMin
      if (key.length < lengthMin || key.length > 512 || /[^\x21-\x7e]/.test(key)) {
        throw new ApiKeyError(
          `it must be ${lengthMin} to 512 printable ASCII characters without spaces`,
        )
      }
      const hash = hashOf(key)
      const known = index.find(hash)
      if (known && !isSame(known.grant, grant)) {
        throw new ApiKeyError('it opens something else already; give each a key of its own')
      }
      return infoOf(known ?? (await put(recordOf(grant, { hash, source: 'config', label }))))
    },
    all: () => keys.all().map(infoOf),
    get(id) {
      const found = keys.get(id)
      if (!found) throw new KeyNotFoundError(id)
      return infoOf(found)
    },
    async revoke(id) {
      const found = keys.get(id)
      if (!found || found.revokedMs !== undefined) return
      if (found.source === 'made') return ring.forget(id)
      index.remove(found)
      try {
        await put({ ...found, revokedMs: nowMs() })
      } catch (error) {
        index.add(found)
        throw error
      }
    },
    async forget(id) {
      const found = keys.get(id)
      if (found) await commit(store, deleting(found))
    },
    forgetting: (isIt) =>
      keys
        .all()
        .filter(({ grant }) => isIt(grant))
        .flatMap(deleting),
  }
  return ring
}

function hashOf(key: string): Buffer {
  return createHash('sha256').update(key, 'utf8').digest()
}

/** Whether both open the same; how much of it may differ. */
function isSame(a: Grant, b: Grant): boolean {
  const what = (grant: Grant): string => {
    if (grant.to === 'organization') return grant.organizationId
    return grant.to === 'user' ? grant.userId : grant.to
  }
  return a.to === b.to && what(a) === what(b)
}
