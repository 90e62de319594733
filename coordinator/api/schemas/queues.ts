/** What clients send and see of queues and of the jobs in them. */
import Type, { type Static } from 'typebox'
import {
  DisplayNameSchema,
  lineOf,
  NameSchema,
  oneOf,
  orNull,
  TimeSchema,
  UuidSchema,
} from './fields.ts'
import { GroupSchema } from './group-response.ts'

const description = lineOf(0, 500)

export const CreateQueueSchema = Type.Object(
  {
    name: NameSchema,
    display_name: Type.Optional(DisplayNameSchema),
    description: Type.Optional(description),
  },
  { title: 'QueuePrototype' },
)

/** RFC 7396: null puts back what a queue has that was made without the field. */
export const PatchQueueSchema = Type.Object(
  {
    display_name: Type.Optional(orNull(DisplayNameSchema)),
    description: Type.Optional(orNull(description)),
  },
  { title: 'QueuePatch' },
)

export const QueueSchema = Type.Object(
  {
    id: UuidSchema,
    name: NameSchema,
    display_name: DisplayNameSchema,
    description,
    container_groups: Type.Array(GroupSchema, { maxItems: 100 }),
    current_queue_length: Type.Integer({
      ...{ minimum: 0, maximum: 2_147_483_647 },
      description: 'Jobs that are pending or running.',
    }),
    create_time: TimeSchema,
    update_time: TimeSchema,
  },
  { title: 'Queue' },
)
export type QueueJson = Static<typeof QueueSchema>

export const QueueCollectionSchema = Type.Object({ items: Type.Array(QueueSchema) })

/** Of any JSON type. */
export const InputSchema = Type.Unknown({ description: 'Any JSON, up to 1 MB.' })

export const MetadataSchema = Type.Object(
  {},
  { maxProperties: 20, additionalProperties: true, 'x-valid': 'an object of at most 20 keys' },
)

/** Its form and address are checked when it is read: a URL is more than a pattern says. */
export const WebhookSchema = Type.String({
  ...{ minLength: 1, maxLength: 2_048 },
  pattern: '^.*$',
  description: 'An http or https URL, told when the job ends.',
  'x-valid': 'an http or https URL of at most 2048 characters',
})

export const CreateJobSchema = Type.Object(
  {
    input: InputSchema,
    metadata: Type.Optional(MetadataSchema),
    webhook: Type.Optional(WebhookSchema),
  },
  { title: 'QueueJobPrototype' },
)

export const JobStatusSchema = oneOf('pending', 'running', 'succeeded', 'cancelled', 'failed')

export const JobEventsSchema = Type.Array(
  Type.Object({
    action: oneOf('created', 'started', 'succeeded', 'cancelled', 'failed'),
    time: TimeSchema,
  }),
  { maxItems: 1_000 },
)

export const JobSchema = Type.Object(
  {
    id: UuidSchema,
    input: InputSchema,
    metadata: Type.Optional(MetadataSchema),
    output: Type.Optional(Type.Unknown()),
    status: JobStatusSchema,
    events: JobEventsSchema,
    create_time: TimeSchema,
    update_time: TimeSchema,
    potluck: Type.Object({
      attempts: Type.Integer({ minimum: 0, description: 'How often it was handed out.' }),
      webhook: Type.Optional(
        Type.String({
          description:
            "Here and not in `webhook`, where SaladCloud's contract, and so its SDK, takes a date only.",
        }),
      ),
    }),
  },
  { title: 'QueueJob' },
)
export type JobJson = Static<typeof JobSchema>

export const JobCollectionSchema = Type.Object({ items: Type.Array(JobSchema, { maxItems: 100 }) })
