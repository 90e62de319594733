/**
 * What queues and their jobs are: the records that the store keeps, and the service that owns them.
 * A job is kept in two parts, because heads are all in memory and bodies (input, output) may be
 * large: a head says where the job stands, its body what it is about.
 */
import Type, { type Static } from 'typebox'
import { CountSchema, ListSchema, TextSchema, UuidSchema } from '../../protocol/wire/index.ts'
import type { ProjectScope } from '../groups/index.ts'

export const QueueRecordSchema = Type.Object({
  id: UuidSchema,
  organization: TextSchema(63),
  organizationId: UuidSchema,
  project: TextSchema(63),
  projectId: UuidSchema,
  /** Unique within the project. */
  name: TextSchema(63),
  displayName: TextSchema(63),
  description: TextSchema(500),
  /** Wall-clock times, for display only. */
  createdMs: CountSchema(),
  updatedMs: CountSchema(),
  /** It is gone for everybody; the record stays until its jobs are removed, also over a crash. */
  deletedMs: Type.Optional(CountSchema()),
})
export type QueueRecord = Readonly<Static<typeof QueueRecordSchema>>

export const JobStateSchema = Type.Union([
  Type.Literal('pending'),
  Type.Literal('running'),
  Type.Literal('succeeded'),
  Type.Literal('cancelled'),
  Type.Literal('failed'),
])
export type JobState = Static<typeof JobStateSchema>

const JobEventSchema = Type.Object({
  action: Type.Union([
    Type.Literal('created'),
    Type.Literal('started'),
    Type.Literal('succeeded'),
    Type.Literal('cancelled'),
    Type.Literal('failed'),
  ]),
  atMs: CountSchema(),
})
export type JobEvent = Readonly<Static<typeof JobEventSchema>>

/** The contract's bound on `events`. */
export const jobEventsMax = 1_000

export const JobHeadSchema = Type.Object({
  id: UuidSchema,
  /** The queue that the job is in. */
  queueId: UuidSchema,
  /** Rises by one a job of the queue: jobs are handed out, and listed, in this order. */
  seq: CountSchema(Number.MAX_SAFE_INTEGER, 1),
  /** The organization that sent it, where that is not the queue's: it came through an endpoint. */
  owner: Type.Optional(UuidSchema),
  state: JobStateSchema,
  events: ListSchema(JobEventSchema, jobEventsMax),
  /** How often it was handed out. */
  attempts: CountSchema(),
  /** What its body takes: UTF-8 of its JSON texts. */
  bodyBytes: CountSchema(),
  createdMs: CountSchema(),
  updatedMs: CountSchema(),
  /** Where the end is told; its form was checked, its address is when it is connected to. */
  webhook: Type.Optional(TextSchema(2_048)),
  /** Who has it: whoever shows `receipt` by `untilMs` (coordinator's time) may end it. Running only. */
  lease: Type.Optional(
    Type.Object({ receipt: UuidSchema, instance: UuidSchema, untilMs: CountSchema() }),
  ),
})
export type JobHead = Readonly<Static<typeof JobHeadSchema>>

/** JSON texts: any value fits, and what a tenant sent is not taken apart again. */
export const JobBodySchema = Type.Object({
  input: TextSchema(1 << 21),
  metadata: Type.Optional(TextSchema(1 << 21)),
  output: Type.Optional(TextSchema(10 << 20)),
})
export type JobBody = Readonly<Static<typeof JobBodySchema>>

/** Plain JSON. */
export type JobInput = Readonly<{
  input: unknown
  metadata?: unknown
  webhook?: string
  owner?: string
}>

export type Job = Readonly<{
  head: JobHead
  input: unknown
  metadata?: unknown
  output?: unknown
}>

export type JobPage = Readonly<{ items: readonly Job[]; total: number }>
/** From 1; newest jobs first. */
export type PageAsked = Readonly<{ page: number; pageSize: number }>

/**
 * The jobs of queues. With an `owner`, only those that this organization sent through an endpoint;
 * without, all of the queue. Every promise of a write resolves when it is durable.
 */
export interface Jobs {
  /** @throws {QueueFullError} as many jobs, or bytes of jobs, as a queue may hold are not finished. */
  create(queueId: string, input: JobInput): Promise<Job>
  /** @throws {JobNotFoundError} */
  get(queueId: string, id: string, owner?: string): Promise<Job>
  /** @throws {PageTooLargeError} the jobs of this page are too big for one answer. */
  list(queueId: string, page: PageAsked, owner?: string): Promise<JobPage>
  /** Idempotent. @throws {JobNotFoundError} @throws {JobFinishedError} it ended in another way. */
  cancel(queueId: string, id: string, owner?: string): Promise<JobHead>
  /** Jobs that wait or are at work. */
  lengthOf(queueId: string): number
  /** Removes the queue's jobs, whatever they are at. */
  drop(queueId: string): Promise<void>
}

export type QueueInput = Readonly<{ name: string; displayName: string; description: string }>
export type QueueChange = Readonly<{ displayName?: string; description?: string }>

/** Every promise of a write resolves when the change is durable. */
export interface Queues {
  readonly jobs: Jobs
  /** @throws {QueueNameTakenError} @throws {QueueQuotaError} */
  create(scope: ProjectScope, input: QueueInput): Promise<QueueRecord>
  /** @throws {QueueNotFoundError} */
  get(scope: ProjectScope, name: string): QueueRecord
  /** Whoever's it is. */
  find(organization: string, project: string, name: string): QueueRecord | undefined
  /** How many the project has. */
  countIn(projectId: string): number
  /** The project's queues, by name. */
  list(scope: ProjectScope): readonly QueueRecord[]
  /** @throws {QueueNotFoundError} */
  update(scope: ProjectScope, name: string, change: QueueChange): Promise<QueueRecord>
  /**
   * With all its jobs.
   * @throws {QueueNotFoundError} @throws {QueueInUseError} `usedBy` names somebody, or a group is being made.
   */
  delete(scope: ProjectScope, name: string, usedBy: () => readonly string[]): Promise<void>
  /**
   * Runs `work` while the queue cannot be deleted, so that no group is made for one that is gone.
   * @throws {QueueNotFoundError}
   */
  hold<T>(scope: ProjectScope, name: string, work: () => Promise<T>): Promise<T>
}
