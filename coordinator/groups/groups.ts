/**
 * The service that owns container groups' records. All of them are in memory; memory follows the
 * disk and never leads it, so whoever saw a change can rely on it after a crash. Changes of one
 * group queue up behind each other, those of different groups share the store's group commit.
 */
import { randomUUID } from 'node:crypto'
import { Compile } from 'typebox/compile'
import {
  CredentialsSchema,
  type RegistryCredentials,
} from '../../protocol/control/image-messages.ts'
import { describeError } from '../../protocol/errors.ts'
import type { GroupId } from '../../protocol/ids.ts'
import type { Logger } from '../../protocol/log/index.ts'
import { type Collection, collection, type Store } from '../../protocol/store/index.ts'
import { type Sealer, type SecretPlace, SecretUnreadableError } from '../secrets/index.ts'
import { GroupNameTakenError, GroupNotFoundError, QuotaExceededError } from './errors.ts'
import { changeRecord, newRecord, type SealSecret } from './records.ts'
import { type GroupRecord, GroupRecordSchema, type Groups, type ProjectScope } from './types.ts'

export type GroupsInit = Readonly<{
  /** Replicas of all groups of one organization together, running or not. */
  replicasQuota: number
}>

export type GroupsComponents = Readonly<{
  store: Store
  sealer: Sealer
  logger: Logger
  /** Wall-clock time, for the times that are shown. */
  wallNowMs?: () => number
  /** UUIDs of new groups; a simulation repeats them. */
  newId?: () => string
  /** An organization's own quota, where it has one. */
  quotaOf?: (organizationId: string) => number | undefined
}>

const credentials = Compile(CredentialsSchema)

/** Loads every group that `store` holds. */
export async function createGroups(
  init: GroupsInit,
  components: GroupsComponents,
): Promise<Groups> {
  const records = collection(components.store, 'container-groups', GroupRecordSchema)
  const byId = new Map<GroupId, GroupRecord>()
  for await (const [, record] of records.entries()) byId.set(record.id, record)
  return new GroupBook(init, components, records, byId)
}

class GroupBook implements Groups {
  readonly #replicasQuota: number
  readonly #sealer: Sealer
  readonly #logger: Logger
  readonly #wallNowMs: () => number
  readonly #newId: () => string
  readonly #quotaOf: (organizationId: string) => number | undefined
  readonly #records: Collection<GroupRecord>
  readonly #byId: Map<GroupId, GroupRecord>
  /** On their way to the disk: names of new groups and more replicas, taken all the same. */
  readonly #pending = new Map<string, Readonly<{ organizationId: string; replicas: number }>>()
  /** The last change of each group; the next waits for it. */
  readonly #tails = new Map<GroupId, Promise<unknown>>()
  readonly #listeners = new Set<(id: GroupId) => void>()

  constructor(
    { replicasQuota }: GroupsInit,
    components: GroupsComponents,
    records: Collection<GroupRecord>,
    byId: Map<GroupId, GroupRecord>,
  ) {
    const { sealer, logger, wallNowMs = Date.now, quotaOf = () => undefined } = components
    this.#replicasQuota = replicasQuota
    this.#sealer = sealer
    this.#logger = logger
    this.#wallNowMs = wallNowMs
    this.#newId = components.newId ?? randomUUID
    this.#quotaOf = quotaOf
    this.#records = records
    this.#byId = byId
  }

  async create(scope: ProjectScope, input: Parameters<Groups['create']>[1]): Promise<GroupRecord> {
    const reserved = `${scope.projectId}/${input.name}`
    if (this.#pending.has(reserved) || this.#find(scope, input.name)) {
      throw new GroupNameTakenError(input.name, scope.project)
    }
    this.#checkQuota(scope.organizationId, input.replicas)
    const { organizationId } = scope
    this.#pending.set(reserved, { organizationId, replicas: input.replicas })
    try {
      const id = this.#newId() as GroupId
      const record = newRecord({ id, scope, input, nowMs: this.#wallNowMs(), seal: this.#seal(id) })
      await this.#write(record)
      return record
    } finally {
      this.#pending.delete(reserved)
    }
  }

  get(scope: ProjectScope, name: string): GroupRecord {
    const found = this.#find(scope, name)
    if (!found) throw new GroupNotFoundError(name, scope.project)
    return found
  }

  byId(id: GroupId): GroupRecord | undefined {
    return this.#byId.get(id)
  }

  list({ projectId }: ProjectScope): readonly GroupRecord[] {
    return this.all()
      .filter((group) => group.projectId === projectId && group.deletedMs === undefined)
      .sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  async update(
    scope: ProjectScope,
    name: string,
    decide: Parameters<Groups['update']>[2],
  ): Promise<GroupRecord> {
    const { id } = this.get(scope, name)
    try {
      return await this.#change(id, (group) => {
        if (group.deletedMs !== undefined) throw new GroupNotFoundError(name, scope.project)
        const { organizationId } = group
        const change = decide(group)
        const replicas = (change.replicas ?? group.replicas) - group.replicas
        if (replicas > 0) {
          this.#checkQuota(organizationId, replicas)
          this.#pending.set(id, { organizationId, replicas })
        }
        return changeRecord({ group, change, nowMs: this.#wallNowMs(), seal: this.#seal(id) })
      })
    } finally {
      this.#pending.delete(id)
    }
  }

  start(scope: ProjectScope, name: string): Promise<GroupRecord> {
    return this.#setDesired(scope, name, 'running')
  }

  stop(scope: ProjectScope, name: string): Promise<GroupRecord> {
    return this.#setDesired(scope, name, 'stopped')
  }

  delete(scope: ProjectScope, name: string): Promise<GroupRecord> {
    return this.#change(this.get(scope, name).id, (group) => {
      if (group.deletedMs !== undefined) throw new GroupNotFoundError(name, scope.project)
      const nowMs = this.#wallNowMs()
      const { loggingSealed: _logging, ...rest } = group
      const { envSealed: _env, credentialsSealed: _credentials, ...container } = group.container
      // Clearing its slots needs none of its secrets.
      return { ...rest, container, deletedMs: nowMs, updatedMs: nowMs }
    })
  }

  onChange(listener: (id: GroupId) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  all(): readonly GroupRecord[] {
    return [...this.#byId.values()]
  }

  async forgetDeleted(id: GroupId): Promise<void> {
    if (this.#byId.get(id)?.deletedMs === undefined) return
    await this.#records.delete(id)
    this.#byId.delete(id)
    this.#tell(id)
  }

  async dropCredentials({ id, container: seen }: GroupRecord): Promise<void> {
    if (seen.credentialsSealed === undefined || !this.#byId.has(id)) return
    await this.#change(id, (group) => {
      const { credentialsSealed, ...container } = group.container
      const isSame =
        credentialsSealed !== undefined &&
        seen.credentialsSealed !== undefined &&
        Buffer.compare(credentialsSealed, seen.credentialsSealed) === 0
      return isSame ? { ...group, container } : group
    })
  }

  openEnv(group: GroupRecord): Readonly<Record<string, string>> {
    const sealed = group.container.envSealed
    if (!sealed) return {}
    return this.#sealer.openJson(place(group.id, 'env'), sealed) as Record<string, string>
  }

  openCredentials(group: GroupRecord): RegistryCredentials | undefined {
    const sealed = group.container.credentialsSealed
    if (!sealed) return undefined
    const at = place(group.id, 'credentials')
    const opened = this.#sealer.openJson(at, sealed)
    if (!credentials.Check(opened)) {
      throw new SecretUnreadableError(at.record, at.field, 'it is not a user name and a password')
    }
    return opened
  }

  openLogging(group: GroupRecord): unknown {
    if (!group.loggingSealed) return undefined
    return this.#sealer.openJson(place(group.id, 'logging'), group.loggingSealed)
  }

  replicasOf(organizationId: string): number {
    return this.all()
      .filter((group) => group.organizationId === organizationId && group.deletedMs === undefined)
      .reduce((sum, group) => sum + group.replicas, 0)
  }

  countIn(projectId: string): number {
    const onTheWay = [...this.#pending.keys()].filter((key) => key.startsWith(`${projectId}/`))
    return this.all().filter((group) => group.projectId === projectId).length + onTheWay.length
  }

  #find({ projectId }: ProjectScope, name: string): GroupRecord | undefined {
    for (const group of this.#byId.values()) {
      const isIt = group.name === name && group.projectId === projectId
      if (isIt && group.deletedMs === undefined) return group
    }
    return undefined
  }

  #setDesired(
    scope: ProjectScope,
    name: string,
    desired: GroupRecord['desired'],
  ): Promise<GroupRecord> {
    return this.#change(this.get(scope, name).id, (group) => {
      if (group.deletedMs !== undefined) throw new GroupNotFoundError(name, scope.project)
      if (group.desired === desired) return group
      const nowMs = this.#wallNowMs()
      return { ...group, desired, desiredSinceMs: nowMs, updatedMs: nowMs }
    })
  }

  /** Replaces a group's record by what `decide` makes of the newest one; no write if the same. */
  async #change(id: GroupId, decide: (group: GroupRecord) => GroupRecord): Promise<GroupRecord> {
    const before = this.#tails.get(id) ?? Promise.resolve()
    const run = before.then(async () => {
      const group = this.#byId.get(id)
      if (!group) throw new GroupNotFoundError(id, 'of this id')
      const next = decide(group)
      if (next !== group) await this.#write(next)
      return next
    })
    const tail = run.catch(() => {}) // Whoever asked is told; the next one in line goes on.
    this.#tails.set(id, tail)
    try {
      return await run
    } finally {
      if (this.#tails.get(id) === tail) this.#tails.delete(id)
    }
  }

  async #write(record: GroupRecord): Promise<void> {
    await this.#records.put(record.id, record)
    this.#byId.set(record.id, record)
    this.#tell(record.id)
  }

  /** The change is durable by now: a listener's fault must not make it look refused. */
  #tell(id: GroupId): void {
    for (const listener of this.#listeners) {
      try {
        listener(id)
      } catch (error) {
        this.#logger.error({ group: id, error: describeError(error) }, 'a listener to groups threw')
      }
    }
  }

  #checkQuota(organizationId: string, more: number): void {
    let used = this.replicasOf(organizationId)
    for (const pending of this.#pending.values()) {
      if (pending.organizationId === organizationId) used += pending.replicas
    }
    const quota = this.#quotaOf(organizationId) ?? this.#replicasQuota
    if (used + more > quota) throw new QuotaExceededError(more, used, quota)
  }

  #seal(id: GroupId): SealSecret {
    return (field, value) => this.#sealer.sealJson(place(id, field), value)
  }
}

function place(id: GroupId, field: string): SecretPlace {
  return { record: `container-group/${id}`, field }
}
