/** What the API shows of container groups and their instances. Tests hold every answer to these. */
import Type, { type Static } from 'typebox'
import {
  CountryCodeSchema,
  DisplayNameSchema,
  lineOf,
  NameSchema,
  oneOf,
  orNull,
  PrioritySchema,
  RestartPolicySchema,
  TimeSchema,
  UuidSchema,
} from './fields.ts'
import {
  LoggingSchema,
  QueueAutoscalerSchema,
  QueueConnectionSchema,
  ScalingActionsSchema,
  ShownLivenessProbeSchema,
  ShownNetworkingSchema,
  ShownReadinessProbeSchema,
  ShownStartupProbeSchema,
} from './kept.ts'

const count = Type.Integer({ minimum: 0 })
const version = Type.Integer({ minimum: 1, maximum: 2_147_483_647 })
const FaultSchema = Type.Object({ code: Type.String(), message: Type.String() })

export const GroupStateSchema = Type.Object({
  status: oneOf('pending', 'running', 'stopped', 'succeeded', 'failed', 'deploying'),
  description: orNull(lineOf(0, 1_000)),
  start_time: Type.String({
    format: 'date-time',
    description: 'When it was last started, or made.',
  }),
  finish_time: Type.String({
    format: 'date-time',
    description: 'When it was stopped; until then its start time.',
  }),
  instance_status_counts: Type.Object({
    allocating_count: count,
    creating_count: count,
    running_count: count,
    stopping_count: count,
  }),
})

const ContainerSchema = Type.Object({
  command: Type.Array(Type.String()),
  environment_variables: Type.Record(Type.String(), Type.String()),
  hash: Type.Optional(
    Type.String({
      pattern: '^sha\\d{1,3}:[a-fA-F0-9]{40,135}$',
      description: 'The digest that the image was resolved to.',
    }),
  ),
  image: Type.String(),
  image_caching: Type.Optional(Type.Boolean()),
  logging: Type.Optional(LoggingSchema),
  resources: Type.Object({
    cpu: Type.Integer({ minimum: 1 }),
    memory: count,
    gpu_classes: Type.Array(UuidSchema),
    shm_size: count,
    storage_amount: count,
  }),
  size: Type.Optional(count),
})

export const GroupSchema = Type.Object(
  {
    id: UuidSchema,
    name: NameSchema,
    display_name: DisplayNameSchema,
    organization_name: NameSchema,
    project_name: NameSchema,
    version,
    create_time: TimeSchema,
    update_time: TimeSchema,
    autostart_policy: Type.Boolean(),
    pending_change: Type.Boolean({ description: 'An instance of an older version still exists.' }),
    replicas: count,
    priority: PrioritySchema,
    restart_policy: RestartPolicySchema,
    country_codes: Type.Array(CountryCodeSchema),
    container: ContainerSchema,
    current_state: GroupStateSchema,
    liveness_probe: Type.Optional(ShownLivenessProbeSchema),
    readiness_probe: Type.Optional(ShownReadinessProbeSchema),
    startup_probe: Type.Optional(ShownStartupProbeSchema),
    networking: Type.Optional(ShownNetworkingSchema),
    queue_autoscaler: Type.Optional(QueueAutoscalerSchema),
    queue_connection: Type.Optional(QueueConnectionSchema),
    'scaling-actions': ScalingActionsSchema,
    'scheduled-scaling-enabled': Type.Boolean(),
    potluck: Type.Object({
      lost_after: count,
      orphan_after: count,
      strict: Type.Boolean(),
      min_upload_mbps: count,
      min_download_mbps: count,
      sensitive: Type.Boolean(),
      scaling_actions: ScalingActionsSchema,
      image: Type.Object({
        state: oneOf('preparing', 'ready', 'failed'),
        bytes_done: count,
        bytes_total: count,
        fault: Type.Optional(FaultSchema),
      }),
      not_in_effect: Type.Array(Type.String(), {
        description: 'Fields that are kept, and that this version does not act on.',
      }),
    }),
  },
  { title: 'ContainerGroup' },
)

export type GroupJson = Static<typeof GroupSchema>

export const GroupCollectionSchema = Type.Object({ items: Type.Array(GroupSchema) })

/** Instances with the lowest go first when a group is scaled in. */
const DeletionCostSchema = Type.Integer({ minimum: 0, maximum: 100_000 })

export const InstanceSchema = Type.Object(
  {
    id: UuidSchema,
    machine_id: UuidSchema,
    state: oneOf('allocating', 'downloading', 'creating', 'running', 'stopping'),
    update_time: TimeSchema,
    version,
    ready: Type.Boolean(),
    started: Type.Boolean(),
    pulling_progress: Type.Optional(Type.Number({ minimum: 0, maximum: 100 })),
    deletion_cost: DeletionCostSchema,
    potluck: Type.Object({
      slot: count,
      term: count,
      epoch: count,
      node: Type.String({ description: "The node's peer id." }),
      restarts: count,
      bytes_total: count,
      bytes_done: count,
      bytes_from_caches: count,
      bytes_from_peers: count,
      bytes_served: count,
      fault: Type.Optional(FaultSchema),
    }),
  },
  { title: 'ContainerGroupInstance' },
)

/** Closed, as the contract has it. Null: back to 0. */
export const InstancePatchSchema = Type.Object(
  { deletion_cost: Type.Optional(orNull(DeletionCostSchema)) },
  { title: 'ContainerGroupInstancePatch', additionalProperties: false },
)

export type InstanceJson = Static<typeof InstanceSchema>

export const InstanceCollectionSchema = Type.Object({ instances: Type.Array(InstanceSchema) })

export const GpuClassesSchema = Type.Object({
  items: Type.Array(
    Type.Object({
      id: UuidSchema,
      name: Type.String(),
      prices: Type.Array(Type.Object({ priority: PrioritySchema, price: Type.String() })),
      gpu_class_type: oneOf('community', 'secure'),
    }),
  ),
})

export const QuotasSchema = Type.Object({
  container_groups_quotas: Type.Object({
    container_replicas_quota: count,
    container_replicas_used: count,
  }),
})
