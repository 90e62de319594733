/** What clients send and see of an organization's own: webhook key, logs, availability. */
import Type, { type Static } from 'typebox'
import {
  CountryCodeSchema,
  lineOf,
  NameSchema,
  oneOf,
  orNull,
  TimeSchema,
  UuidSchema,
} from './fields.ts'

/** Of svix's form, without its `whsec_`. */
export const WebhookSecretKeySchema = Type.Object(
  { secret_key: Type.String({ pattern: '^[+/=0-9A-Za-z]{44,172}$' }) },
  { title: 'WebhookSecretKey' },
)

export const LogQuerySchema = Type.Object(
  {
    start_time: TimeSchema,
    end_time: TimeSchema,
    query: Type.String({ maxLength: 20_000, description: 'Field, operator, value; and, or, not.' }),
    page_size: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 })),
    sort_order: Type.Optional(oneOf('desc', 'asc')),
  },
  { title: 'LogEntryQuery' },
)

const id = Type.String({ minLength: 1, maxLength: 1_000 })

const LogEntrySchema = Type.Object(
  {
    time: TimeSchema,
    receive_time: TimeSchema,
    severity: oneOf(
      ...(['default', 'debug', 'info', 'notice', 'warning'] as const),
      ...(['error', 'critical', 'alert', 'emergency'] as const),
    ),
    resource: Type.Object({
      type: id,
      labels: Type.Record(Type.String(), id, { maxProperties: 100 }),
    }),
    text_log: Type.Optional(Type.String({ maxLength: 10_000 })),
    json_log: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
    trace_Id: Type.Optional(id),
    span_Id: Type.Optional(id),
    parent_span_id: Type.Optional(id),
  },
  { title: 'LogEntry' },
)

export const LogEntriesSchema = Type.Object(
  {
    organization_name: NameSchema,
    page_min_time: TimeSchema,
    page_max_time: TimeSchema,
    items: Type.Array(LogEntrySchema, { maxItems: 10_000 }),
  },
  { title: 'LogEntryCollection' },
)
export type LogEntriesJson = Static<typeof LogEntriesSchema>

const int32Max = 2_147_483_647
const wanted = {
  cpu: Type.Optional(orNull(Type.Integer({ minimum: 0, maximum: int32Max }))),
  memory: Type.Optional(
    orNull(
      Type.Integer({
        ...{ minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
        description: 'MB of 2^20 bytes.',
      }),
    ),
  ),
  storage_amount: Type.Optional(
    orNull(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description: 'Bytes.' })),
  ),
  country_codes: Type.Optional(
    Type.Array(CountryCodeSchema, { maxItems: 500, description: 'Absent or empty: anywhere.' }),
  ),
}
export const CpuWantedSchema = Type.Object(wanted, { title: 'CpuAvailabilityPrototype' })
export const GpuWantedSchema = Type.Object(
  { ...wanted, gpu_classes: Type.Array(UuidSchema, { minItems: 1, maxItems: 100 }) },
  { title: 'GpuAvailabilityPrototype' },
)

const count = Type.Integer({ minimum: 0, maximum: int32Max })
export const CpuAvailabilitySchema = Type.Object(
  {
    available_cpu_batch: Type.Integer({
      ...{ minimum: 0, maximum: int32Max },
      description: 'Free cores of the connected nodes that have room for such an instance.',
    }),
    on_call_cpu: Type.Integer({
      ...{ minimum: 0, maximum: int32Max },
      description: 'Cores of those that would have room if they were not at work.',
    }),
  },
  { title: 'CpuAvailability' },
)
export const GpuAvailabilitySchema = Type.Object(
  {
    available_gpu_batch: count,
    available_gpu_low: count,
    available_gpu_medium: count,
    available_gpu_high: count,
    on_call_gpu: count,
  },
  {
    title: 'GpuAvailability',
    description:
      'Free cards of the connected nodes that have room for such an instance; on call: cards of those that would have if they were not at work. What a higher priority could take from a lower one is not counted.',
  },
)

export const SystemLogsSchema = Type.Object({
  items: Type.Array(
    Type.Object(
      {
        event_name: lineOf(1, 255),
        event_time: TimeSchema,
        instance_id: Type.Optional(UuidSchema),
        machine_id: Type.Optional(UuidSchema),
        resource_cpu: orNull(Type.Integer({ minimum: 1, maximum: 16 })),
        resource_memory: orNull(Type.Integer({ minimum: 1_024, maximum: 61_440 })),
        resource_storage_amount: orNull(
          Type.Integer({ minimum: 1_073_741_824, maximum: 268_435_456_000 }),
        ),
        resource_gpu_class: Type.String(),
        version: Type.String(),
      },
      { title: 'SystemLog' },
    ),
    { maxItems: 50 },
  ),
})
export type SystemLogsJson = Static<typeof SystemLogsSchema>
