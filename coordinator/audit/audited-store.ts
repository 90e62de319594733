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
  /** What a later write is, if it is an act. */
  changed?: (
    id: string,
    before: Readonly<Record<string, unknown>>,
    after: Readonly<Record<string, unknown>>,
  ) => AuditAct | undefined
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
    const value = operation.value as Readonly<Record<string, unknown>>
    if (before === undefined) return record.made(id, value)
    return record.changed?.(id, before as Readonly<Record<string, unknown>>, value)
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
 * Who may use the API and whose nodes are whose: each key, organization, project, user, member and
 * chef that comes to be, and each end. The store does not know who asked; whoever answers for it is
 * the operator, and the admin API's own entries name the key.
 */
export const tenantActs: readonly WatchedRecord[] = [
  {
    name: 'api-keys',
    made: (key, { grant, source, label }) => ({
      ...{ kind: 'key-made', by: 'operator' },
      facts: { key, ...grantFacts(grant), source: text(source), label: text(label) },
    }),
    changed: (key, before, after) =>
      before.revokedMs === undefined && after.revokedMs !== undefined
        ? { kind: 'key-revoked', by: 'operator', facts: { key } }
        : undefined,
    ended: (key) => ({ kind: 'key-revoked', by: 'operator', facts: { key } }),
  },
  ended('organizations', 'organization', ({ name }) => ({ name: text(name) })),
  ended('projects', 'project', ({ organizationId, name }) => ({
    ...{ organization: text(organizationId), name: text(name) },
  })),
  ended('users', 'user', ({ name }) => ({ name: text(name) })),
  {
    ...ended('members', 'member', ({ organizationId, userId, role }) => ({
      ...{ organization: text(organizationId), user: text(userId), role: text(role) },
    })),
    changed: (member, _before, { role }) => ({
      ...{ kind: 'member-changed', by: 'operator', facts: { member, role: text(role) } },
    }),
  },
  ended('chefs', 'chef', ({ name }) => ({ name: text(name) })),
  ended('node-owners', 'claim', ({ chefId }) => ({ chef: text(chefId) })),
]

/** Records that are made and ended, and not changed in a way that matters here. */
function ended(
  name: string,
  what: string,
  factsOf: (value: Readonly<Record<string, unknown>>) => Readonly<Record<string, string>>,
): WatchedRecord {
  return {
    name,
    made: (id, value) => ({
      ...{ kind: `${what}-made`, by: 'operator', facts: { id, ...factsOf(value) } },
    }),
    ended: (id) => ({ kind: `${what}-ended`, by: 'operator', facts: { id } }),
  }
}

/** What a key opens. */
function grantFacts(grant: unknown): Readonly<Record<string, string>> {
  const { to, organizationId, userId } = (grant ?? {}) as Readonly<Record<string, unknown>>
  return {
    to: text(to),
    ...(organizationId === undefined ? {} : { organization: text(organizationId) }),
    ...(userId === undefined ? {} : { user: text(userId) }),
  }
}
