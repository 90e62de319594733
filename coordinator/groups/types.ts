/**
 * What a container group is: the record that the store keeps, and the service that owns those
 * records. The API writes desired state here; scheduler and reconciler read it and converge. Were
 * any of it kept only in memory, a tenant's acknowledged request would not survive a crash.
 */
import Type, { type Static } from 'typebox'
import type { RegistryCredentials } from '../../protocol/control/index.ts'
import type { GroupId } from '../../protocol/ids.ts'
import { RestartPolicySchema } from '../../protocol/orders/schemas.ts'
import {
  BytesSchema,
  CountSchema,
  GroupIdSchema,
  ListSchema,
  TextSchema,
  UuidSchema,
} from '../../protocol/wire/index.ts'

/** Preference when capacity is short; null is the contract's "not set", treated as the lowest. */
export const PrioritySchema = Type.Union([
  Type.Literal('high'),
  Type.Literal('medium'),
  Type.Literal('low'),
  Type.Literal('batch'),
])
export type Priority = Static<typeof PrioritySchema>

/** Ciphertext of coordinator/secrets; only `openEnv` and `openCredentials` look inside. */
const SealedBytesSchema = BytesSchema(30, 2 << 20)

/** Contract objects that are kept and shown again as they came (probes, networking …). */
const PlainObjectSchema = Type.Record(Type.String(), Type.Unknown())

export const GroupContainerSchema = Type.Object({
  /** As the tenant wrote it: `ghcr.io/acme/app:1`. Its syntax has been checked. */
  image: TextSchema(2_048),
  /** Thousandths of a core. */
  milliCpus: CountSchema(1_024_000, 1),
  memoryBytes: CountSchema(),
  /** Writable layer and volumes. */
  storageBytes: CountSchema(),
  shmBytes: CountSchema(),
  /** UUIDs of the catalogue (gpu-classes.ts): any one of them will do. Empty: no GPU. */
  gpuClasses: ListSchema(UuidSchema, 100),
  /** Replaces the image's command when not empty. */
  command: ListSchema(TextSchema(2_048), 100),
  /** Absent: not set by the tenant. */
  priority: Type.Optional(PrioritySchema),
  /** Sealed environment; absent when there is none. Its plaintext: `openEnv`. */
  envSealed: Type.Optional(SealedBytesSchema),
  /** Sealed registry credentials, until the bundle is cached (`dropCredentials`). */
  credentialsSealed: Type.Optional(SealedBytesSchema),
  /** Whether this image needs credentials: stays true after they were dropped. */
  credentialsGiven: Type.Boolean(),
})
export type GroupContainer = Static<typeof GroupContainerSchema>

/** The fastest line that a tenant may ask for: 100 Gbit/s. */
export const minMbpsMax = 100_000

/** What SaladCloud's contract lacks; `potluck` in the API, in seconds there. */
export const GroupExtensionSchema = Type.Object({
  /** How long after lease + skew a silent slot is replaced. */
  lostAfterMs: CountSchema(86_400_000),
  /** How long a container outlives a coordinator that is down. */
  orphanAfterMs: CountSchema(604_800_000),
  /** Never two at once, at the price of pauses (leases.md). */
  strict: Type.Boolean(),
  /** The least that a node's line must have been measured to do, Mbit/s; absent or 0: any line. */
  minUploadMbps: Type.Optional(CountSchema(minMbpsMax)),
  minDownloadMbps: Type.Optional(CountSchema(minMbpsMax)),
  /** Only on nodes past probation. */
  sensitive: Type.Optional(Type.Boolean()),
})
export type GroupExtension = Static<typeof GroupExtensionSchema>

export const GroupRecordSchema = Type.Object({
  id: GroupIdSchema,
  organization: TextSchema(63),
  organizationId: UuidSchema,
  project: TextSchema(63),
  projectId: UuidSchema,
  /** Unique within the project among groups that are not deleted. */
  name: TextSchema(63),
  displayName: TextSchema(63),
  /** From 1; raised by changes that need new containers, never by replicas or names. */
  version: CountSchema(2 ** 31 - 1, 1),
  /** Wall-clock times, for display only. */
  createdMs: CountSchema(),
  updatedMs: CountSchema(),
  /** When `desired` last changed, for display only. */
  desiredSinceMs: CountSchema(),
  autostart: Type.Boolean(),
  desired: Type.Union([Type.Literal('running'), Type.Literal('stopped')]),
  replicas: CountSchema(100_000),
  container: GroupContainerSchema,
  restartPolicy: RestartPolicySchema,
  /** Lower-case ISO 3166-1; empty: anywhere. */
  countryCodes: ListSchema(Type.String({ pattern: '^[a-z]{2}$' }), 500),
  extension: GroupExtensionSchema,
  /** Parts of the contract that are kept and shown, and that nothing acts on yet. */
  kept: PlainObjectSchema,
  /** Sealed `container.logging`, because it holds passwords of log sinks. */
  loggingSealed: Type.Optional(SealedBytesSchema),
  /** A tombstone: wants no slot. Kept until `forgetDeleted`, when its slots are cleared. */
  deletedMs: Type.Optional(CountSchema()),
})
export type GroupRecord = Readonly<Static<typeof GroupRecordSchema>>

/** How many slots the group should have now: 0 when stopped or deleted. */
export function slotsWanted(group: GroupRecord): number {
  return group.deletedMs !== undefined || group.desired === 'stopped' ? 0 : group.replicas
}

/** The queue that the group serves; its project has it for as long as the group lives. */
export function queueNameOf({ kept }: Pick<GroupRecord, 'kept'>): string | undefined {
  const connection = kept.queue_connection as Readonly<{ queue_name?: string }> | undefined
  return connection?.queue_name
}

/** The project that a request is about; from coordinator/tenants, so both ids exist. */
export type ProjectScope = Readonly<{
  organization: string
  organizationId: string
  project: string
  projectId: string
}>

/** A new group, its secrets still plain: they are sealed before they reach the store. */
export type GroupInput = Readonly<{
  name: string
  displayName: string
  autostart: boolean
  replicas: number
  container: Readonly<Omit<GroupContainer, 'envSealed' | 'credentialsSealed' | 'credentialsGiven'>>
  env: Readonly<Record<string, string>>
  credentials?: RegistryCredentials
  logging?: unknown
  restartPolicy: GroupRecord['restartPolicy']
  countryCodes: readonly string[]
  extension: GroupExtension
  kept: Readonly<Record<string, unknown>>
}>

/** Changes to a group; what is absent stays. */
export type GroupChange = Readonly<{
  displayName?: string
  replicas?: number
  container?: Partial<GroupInput['container']>
  /** Takes the priority away. */
  priorityUnset?: boolean
  env?: Readonly<Record<string, string>>
  credentials?: RegistryCredentials
  /** Null takes it away. */
  logging?: unknown
  countryCodes?: readonly string[]
  extension?: Partial<GroupExtension>
  kept?: Readonly<Record<string, unknown>>
  /** New containers are needed even though none of the above says so (probes, gateway). */
  newVersion?: boolean
}>

/** Every promise of a write resolves when the change is durable, and its listeners were told. */
export interface Groups {
  /**
   * @throws {GroupNameTakenError} the project has a group of this name.
   * @throws {QuotaExceededError} the organization would have more replicas than it may.
   */
  create(scope: ProjectScope, input: GroupInput): Promise<GroupRecord>
  /** By name, tombstones excluded. @throws {GroupNotFoundError} */
  get(scope: ProjectScope, name: string): GroupRecord
  /** By id, tombstones included. */
  byId(id: GroupId): GroupRecord | undefined
  /** The project's groups by name, tombstones excluded. */
  list(scope: ProjectScope): readonly GroupRecord[]
  /**
   * `decide` sees the newest record (and nothing changes it meanwhile) and says what to change.
   * @throws {GroupNotFoundError} @throws {QuotaExceededError}
   */
  update(
    scope: ProjectScope,
    name: string,
    decide: (group: GroupRecord) => GroupChange,
  ): Promise<GroupRecord>
  /** Idempotent. @throws {GroupNotFoundError} */
  start(scope: ProjectScope, name: string): Promise<GroupRecord>
  /** Idempotent. @throws {GroupNotFoundError} */
  stop(scope: ProjectScope, name: string): Promise<GroupRecord>
  /** Leaves a tombstone. @throws {GroupNotFoundError} */
  delete(scope: ProjectScope, name: string): Promise<GroupRecord>
  /** Called after each durable change; returns the way to stop listening. */
  onChange(listener: (id: GroupId) => void): () => void
  /** Every group of every tenant, tombstones included. */
  all(): readonly GroupRecord[]
  /** Removes a tombstone; anything else is left alone. */
  forgetDeleted(id: GroupId): Promise<void>
  /** Erases the credentials that `group` holds, unless newer ones came since. */
  dropCredentials(group: GroupRecord): Promise<void>
  /** @throws {SecretUnreadableError} */
  openEnv(group: GroupRecord): Readonly<Record<string, string>>
  /** Undefined when none were given or they were dropped. @throws {SecretUnreadableError} */
  openCredentials(group: GroupRecord): RegistryCredentials | undefined
  /** `container.logging` as the tenant wrote it. @throws {SecretUnreadableError} */
  openLogging(group: GroupRecord): unknown
  /** Replicas of the organization's groups, running or not. */
  replicasOf(organizationId: string): number
  /** Groups of a project, with those that are being made or cleared. */
  countIn(projectId: string): number
}
