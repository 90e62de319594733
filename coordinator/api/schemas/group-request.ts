/** What a client may send about a container group, within the operator's limits. */
import Type, { type Static } from 'typebox'
import { minMbpsMax } from '../../groups/index.ts'
import type { ContainerLimits } from '../settings.ts'
import {
  CountryCodeSchema,
  DisplayNameSchema,
  lineOf,
  NameSchema,
  orNull,
  PrioritySchema,
  RestartPolicySchema,
  UuidSchema,
} from './fields.ts'
import {
  LivenessProbeSchema,
  LoggingSchema,
  NetworkingPatchSchema,
  NetworkingSchema,
  QueueAutoscalerSchema,
  QueueConnectionSchema,
  ReadinessProbeSchema,
  ScalingActionsSchema,
  StartupProbeSchema,
} from './kept.ts'

const secret = lineOf(1, 10_000)
/** Service keys are JSON documents, so of many lines. */
const ServiceKeySchema = Type.Object({
  service_key: Type.String({ minLength: 1, maxLength: 10_000 }),
})
/** Closed: a misspelt kind would mean a pull without credentials. */
export const RegistryAuthenticationSchema = Type.Object(
  {
    aws_ecr: Type.Optional(
      orNull(Type.Object({ access_key_id: secret, secret_access_key: secret })),
    ),
    basic: Type.Optional(orNull(Type.Object({ username: secret, password: secret }))),
    docker_hub: Type.Optional(
      orNull(Type.Object({ username: secret, personal_access_token: secret })),
    ),
    gcp_gar: Type.Optional(orNull(ServiceKeySchema)),
    gcp_gcr: Type.Optional(orNull(ServiceKeySchema)),
  },
  { additionalProperties: false },
)
export type RegistryAuthentication = Static<typeof RegistryAuthenticationSchema>

const gib = 2 ** 30

function resourceFields(limits: ContainerLimits) {
  const { cpuMax, memoryMbMax, storageBytesMax } = limits
  return {
    cpu: Type.Integer({ minimum: 1, maximum: cpuMax, description: 'Cores.' }),
    memory: Type.Integer({
      minimum: 1_024,
      maximum: memoryMbMax,
      description: 'MB of 2^20 bytes.',
    }),
    gpu_classes: Type.Array(UuidSchema, { maxItems: 100, description: 'Any one of them will do.' }),
    storage_amount: Type.Integer({
      minimum: gib,
      maximum: storageBytesMax,
      description: 'Bytes; 1 GiB unless set.',
    }),
    shm_size: Type.Integer({
      minimum: 64,
      maximum: memoryMbMax,
      description: 'MB; 64 unless set.',
    }),
  }
}

/** Null takes a variable away in a PATCH. */
function environment(limits: ContainerLimits) {
  const value = lineOf(1, limits.envValueLengthMax)
  const names = { maxProperties: limits.envVariablesMax }
  return {
    create: Type.Record(Type.String(), value, names),
    patch: Type.Record(Type.String(), orNull(value), names),
  }
}

const seconds = (maximum: number, value: number, description: string) =>
  Type.Integer({ minimum: 0, maximum, default: value, description })

const mbps = (direction: string) =>
  Type.Integer({
    ...{ minimum: 0, maximum: minMbpsMax, default: 0 },
    description:
      `The least ${direction}, in Mbit/s, that a node's line was measured to do by a link test; ` +
      'nodes without a measurement are not used then. 0: any line.',
  })

/** Potluck's extension: closed, because a misspelt guarantee would be no guarantee. */
function potluckFields() {
  return {
    lost_after: seconds(86_400, 0, 'Seconds after lease and skew until a silent slot is replaced.'),
    orphan_after: seconds(
      604_800,
      3_600,
      'Seconds that a container outlives a coordinator that is down.',
    ),
    strict: Type.Boolean({ default: false, description: 'Never two of a slot at once.' }),
    min_upload_mbps: mbps('upload'),
    min_download_mbps: mbps('download'),
    sensitive: Type.Boolean({ default: false, description: 'Only on nodes past probation.' }),
    scaling_actions: ScalingActionsSchema,
  }
}

function potluckCreate() {
  const { lost_after, orphan_after, strict, ...more } = potluckFields()
  const { min_upload_mbps, min_download_mbps, sensitive, scaling_actions } = more
  return Type.Object(
    {
      lost_after: Type.Optional(lost_after),
      orphan_after: Type.Optional(orphan_after),
      strict: Type.Optional(strict),
      min_upload_mbps: Type.Optional(min_upload_mbps),
      min_download_mbps: Type.Optional(min_download_mbps),
      sensitive: Type.Optional(sensitive),
      scaling_actions: Type.Optional(scaling_actions),
    },
    { additionalProperties: false },
  )
}

/** Null puts a field back to its default. */
function potluckPatch() {
  const { lost_after, orphan_after, strict, ...more } = potluckFields()
  const { min_upload_mbps, min_download_mbps, sensitive, scaling_actions } = more
  return Type.Object(
    {
      lost_after: Type.Optional(orNull(lost_after)),
      orphan_after: Type.Optional(orNull(orphan_after)),
      strict: Type.Optional(orNull(strict)),
      min_upload_mbps: Type.Optional(orNull(min_upload_mbps)),
      min_download_mbps: Type.Optional(orNull(min_download_mbps)),
      sensitive: Type.Optional(orNull(sensitive)),
      scaling_actions: Type.Optional(orNull(scaling_actions)),
    },
    { additionalProperties: false },
  )
}

const image = lineOf(1, 2_048)

/** The contract's PATCH takes words a little longer than its POST does. */
const patchedWordLengthMin = 1_024

function command({ commandItemsMax }: ContainerLimits, wordLengthMax: number) {
  return orNull(Type.Array(lineOf(1, wordLengthMax), { maxItems: commandItemsMax }))
}

function containerCreate(limits: ContainerLimits) {
  const { cpu, memory, gpu_classes, storage_amount, shm_size } = resourceFields(limits)
  return Type.Object({
    image,
    image_caching: Type.Optional(Type.Boolean()),
    command: Type.Optional(command(limits, limits.commandItemLengthMax)),
    environment_variables: Type.Optional(environment(limits).create),
    logging: Type.Optional(orNull(LoggingSchema)),
    priority: Type.Optional(PrioritySchema),
    registry_authentication: Type.Optional(orNull(RegistryAuthenticationSchema)),
    resources: Type.Object({
      cpu,
      memory,
      gpu_classes: Type.Optional(orNull(gpu_classes)),
      storage_amount: Type.Optional(orNull(storage_amount)),
      shm_size: Type.Optional(orNull(shm_size)),
    }),
  })
}

function containerPatch(limits: ContainerLimits) {
  const wordLengthMax = Math.max(limits.commandItemLengthMax, patchedWordLengthMin)
  const { cpu, memory, gpu_classes, storage_amount, shm_size } = resourceFields(limits)
  return Type.Object({
    image: Type.Optional(orNull(image)),
    image_caching: Type.Optional(Type.Boolean()),
    command: Type.Optional(command(limits, wordLengthMax)),
    environment_variables: Type.Optional(orNull(environment(limits).patch)),
    logging: Type.Optional(orNull(LoggingSchema)),
    priority: Type.Optional(PrioritySchema),
    registry_authentication: Type.Optional(orNull(RegistryAuthenticationSchema)),
    resources: Type.Optional(
      orNull(
        Type.Object({
          cpu: Type.Optional(orNull(cpu)),
          memory: Type.Optional(orNull(memory)),
          gpu_classes: Type.Optional(orNull(gpu_classes)),
          storage_amount: Type.Optional(orNull(storage_amount)),
          shm_size: Type.Optional(orNull(shm_size)),
        }),
      ),
    ),
  })
}

const countryCodes = Type.Array(CountryCodeSchema, {
  ...{ minItems: 1, maxItems: 500 },
  description: 'Absent or null: anywhere.',
})

/** The body of a POST. */
export function createGroupSchema(limits: ContainerLimits) {
  return Type.Object(
    {
      name: NameSchema,
      display_name: Type.Optional(orNull(DisplayNameSchema)),
      autostart_policy: Type.Boolean(),
      container: containerCreate(limits),
      country_codes: Type.Optional(orNull(countryCodes)),
      replicas: Type.Integer({ minimum: 0, maximum: limits.replicasMax }),
      restart_policy: RestartPolicySchema,
      liveness_probe: Type.Optional(orNull(LivenessProbeSchema)),
      readiness_probe: Type.Optional(orNull(ReadinessProbeSchema)),
      startup_probe: Type.Optional(orNull(StartupProbeSchema)),
      networking: Type.Optional(orNull(NetworkingSchema)),
      queue_autoscaler: Type.Optional(orNull(QueueAutoscalerSchema)),
      queue_connection: Type.Optional(orNull(QueueConnectionSchema)),
      'scaling-actions': Type.Optional(ScalingActionsSchema),
      'scheduled-scaling-enabled': Type.Optional(Type.Boolean()),
      potluck: Type.Optional(potluckCreate()),
    },
    { title: 'ContainerGroupPrototype' },
  )
}
export type CreateGroupBody = Static<ReturnType<typeof createGroupSchema>>

/** The body of a PATCH (RFC 7396): what is absent stays, null takes away. */
export function patchGroupSchema(limits: ContainerLimits) {
  return Type.Object(
    {
      display_name: Type.Optional(orNull(DisplayNameSchema)),
      container: Type.Optional(orNull(containerPatch(limits))),
      country_codes: Type.Optional(orNull(countryCodes)),
      replicas: Type.Optional(orNull(Type.Integer({ minimum: 0, maximum: limits.replicasMax }))),
      liveness_probe: Type.Optional(orNull(LivenessProbeSchema)),
      readiness_probe: Type.Optional(orNull(ReadinessProbeSchema)),
      startup_probe: Type.Optional(orNull(StartupProbeSchema)),
      networking: Type.Optional(orNull(NetworkingPatchSchema)),
      queue_autoscaler: Type.Optional(orNull(QueueAutoscalerSchema)),
      'scaling-actions': Type.Optional(ScalingActionsSchema),
      'scheduled-scaling-enabled': Type.Optional(Type.Boolean()),
      potluck: Type.Optional(orNull(potluckPatch())),
    },
    { title: 'ContainerGroupPatch' },
  )
}
export type PatchGroupBody = Static<ReturnType<typeof patchGroupSchema>>
