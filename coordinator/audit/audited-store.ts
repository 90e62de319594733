/**
 * A store in which writes to some records are acts: they get their entry in the same batch. So no
 * code path can make a key or an organization that the log does not tell of.
 */
import type { Store, StoreOperation } from '../../protocol/store/index.ts'
import type { AuditRecorder } from './audit-log.ts'
import type { AuditAct } from './entry.ts'

export type WatchedRecord = Readonly<{
  /** Collection's name. */
  name: string
  /** What its first write is. */
  made: (id: string, value: Readonly<Record<string, unknown>>) => AuditAct
  /** What deleting it is; absent: nobody deletes it. */
  ended?: (id: string) => AuditAct
}>

/** `store`, where writes to `watched` records are recorded as they are made. */
export function auditedStore(
  watched: readonly WatchedRecord[],
  { store, audit }: Readonly<{ store: Store; audit: AuditRecorder }>,
): Store {
  /** One write at a time: whether a record is new is asked first, and no delete may overtake that. */
  let tail: Promise<unknown> = Promise.resolve()

  const actOf = async (operation: StoreOperation): Promise<AuditAct | undefined> => {
    const record = watched.find(({ name }) => operation.key.startsWith(`${name}/`))
    if (!record) return undefined
    const id = operation.key.slice(record.name.length + 1)
    const before = await store.get(operation.key)
    if (operation.type === 'del') return before === undefined ? undefined : record.ended?.(id)
    if (before !== undefined) return undefined
    return record.made(id, operation.value as Readonly<Record<string, unknown>>)
  }
  const batch = (operations: readonly StoreOperation[]): Promise<void> => {
    const done = tail.then(async () => {
      const acts: AuditAct[] = []
      for (const operation of operations) {
        const act = await actOf(operation)
        if (act) acts.push(act)
      }
      await audit.record(acts, operations)
    })
    tail = done.catch(() => undefined)
    return done
  }
  return {
    get: (key) => store.get(key),
    entries: (range) => store.entries(range),
    close: () => store.close(),
    batch,
    put: (key, value) => batch([{ type: 'put', key, value }]),
    delete: (key) => batch([{ type: 'del', key }]),
  }
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '')

/**
 * Who may use the API: each key, organization and project that comes to be, and each key's end. The
 * store does not know who asked; whoever answers for it is the operator.
 */
export const tenantActs: readonly WatchedRecord[] = [
  {
    name: 'api-keys',
    made: (key, { organizationId, source, label }) => ({
      kind: 'key-made',
      by: 'operator',
      facts: { key, organization: text(organizationId), source: text(source), label: text(label) },
    }),
    ended: (key) => ({ kind: 'key-revoked', by: 'operator', facts: { key } }),
  },
  {
    name: 'organizations',
    made: (organization, { name }) => ({
      kind: 'organization-made',
      by: 'operator',
      facts: { organization, name: text(name) },
    }),
  },
  {
    name: 'projects',
    made: (project, { organizationId, name }) => ({
      kind: 'project-made',
      by: 'operator',
      facts: { project, organization: text(organizationId), name: text(name) },
    }),
  },
]
