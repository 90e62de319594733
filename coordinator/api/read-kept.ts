/**
 * The parts of a request that are kept as they are, put in order: unknown keys left out, defaults
 * filled in, contradictions refused.
 */
import { isDeepStrictEqual } from 'node:util'
import type { TSchema } from 'typebox'
import { type AddressPolicy, checkTenantHost } from '../../protocol/address/index.ts'
import { PotluckError } from '../../protocol/errors.ts'
import { scheduleProblem } from '../scaling/index.ts'
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
} from './schemas/kept.ts'
import type { ProblemList } from './validation.ts'

type Plain = Readonly<Record<string, unknown>>
type Shape = Readonly<{
  properties?: Readonly<Record<string, Shape>>
  items?: Shape
  default?: unknown
}>

const kept: Readonly<Record<string, TSchema>> = {
  liveness_probe: LivenessProbeSchema,
  readiness_probe: ReadinessProbeSchema,
  startup_probe: StartupProbeSchema,
  networking: NetworkingSchema,
  queue_autoscaler: QueueAutoscalerSchema,
  queue_connection: QueueConnectionSchema,
  'scaling-actions': ScalingActionsSchema,
  'scheduled-scaling-enabled': {} as TSchema,
}

const keptNames = Object.keys(kept)
/** What a PATCH may change; a group's queue is fixed when the group is made. */
export const patchableNames = keptNames.filter((name) => name !== 'queue_connection')

/** Kept fields that are fixed when a container is made, or that its traffic depends on. */
const restarting = new Set(['liveness_probe', 'readiness_probe', 'startup_probe', 'networking'])

/**
 * `before` with what `body` says of the kept fields: absent stays, null goes, an object replaces.
 * Only `networking` merges, because its PATCH knows no more than the port.
 */
export function readKept(
  body: Plain,
  before: Plain,
  problems: ProblemList,
  names: readonly string[] = keptNames,
): Plain {
  const after: Record<string, unknown> = { ...before }
  for (const name of names) {
    const schema = kept[name]
    const value = body[name]
    if (value === undefined) continue
    if (value === null) {
      delete after[name]
      continue
    }
    const isMerged = name === 'networking' && names === patchableNames
    const merged = isMerged ? mergeNetworking(before[name], value) : value
    const known = tidy(merged, schema as unknown as Shape)
    // An action that is null is one that was left out.
    after[name] = name.endsWith('_probe') ? withoutNulls(known as Plain) : known
    checkField(name, after[name], problems)
  }
  return after
}

/** What its PATCH does not know was not checked, and must not get in. */
function mergeNetworking(before: unknown, patch: unknown): unknown {
  const known = tidy(patch, NetworkingPatchSchema as unknown as Shape) as Plain
  return { ...(isPlain(before) ? before : {}), ...withoutNulls(known) }
}

/**
 * `potluck.scaling_actions` is the contract's `scaling-actions` under a name that every language can
 * say; they are one thing, kept once. Given by that name, they are meant to act.
 */
export function withScalingActions(body: Plain, problems: ProblemList): Plain {
  const { scaling_actions: actions } = (body.potluck ?? {}) as Plain
  if (actions === undefined) return body
  const own = body['scaling-actions']
  if (own !== undefined && !isDeepStrictEqual(own, actions ?? [])) {
    problems.add('potluck.scaling_actions', 'must be the same as scaling-actions, or left out')
  }
  const enabled = body['scheduled-scaling-enabled'] ?? (actions as unknown[] | null)?.length !== 0
  return {
    ...body,
    'scaling-actions': actions ?? [],
    'scheduled-scaling-enabled': actions === null ? false : enabled,
  }
}

/** Whether containers must be made anew for the change from `before` to `after`. */
export function keptRestarts(before: Plain, after: Plain): boolean {
  return [...restarting].some(
    (name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]),
  )
}

/** `container.logging`, or null for none. */
export function readLogging(
  value: unknown,
  addresses: AddressPolicy,
  problems: ProblemList,
): unknown {
  if (value === undefined || value === null) return value
  const logging = withoutNulls(tidy(value, LoggingSchema as unknown as Shape) as Plain)
  const names = Object.keys(logging)
  if (names.length > 1) {
    problems.add('container.logging', `must name one provider; got ${names.join(', ')}`)
  }
  for (const [provider, sink] of Object.entries(logging)) {
    try {
      checkTenantHost(String((sink as Plain).host), addresses)
    } catch (error) {
      if (!(error instanceof PotluckError)) throw error
      problems.add(`container.logging.${provider}.host`, error.message)
    }
  }
  return names.length === 0 ? null : logging
}

function checkField(name: string, value: unknown, problems: ProblemList): void {
  if (name === 'scaling-actions') checkSchedules(value as readonly ScalingAction[], problems)
  if (!isPlain(value)) return
  if (name.endsWith('_probe')) {
    const actions = ['exec', 'grpc', 'http', 'tcp'].filter((action) => value[action])
    if (actions.length !== 1) {
      const got = actions.length === 0 ? 'none' : actions.join(', ')
      problems.add(name, `must have exactly one of exec, grpc, http, tcp; got ${got}`)
    }
  }
  if (name === 'networking' && (value.port === undefined || value.protocol === undefined)) {
    problems.add('networking', 'cannot be added to a group that was made without it')
  }
  const { min_replicas: min, max_replicas: max } = value
  if (name === 'queue_autoscaler' && Number(min) > Number(max)) {
    problems.add('queue_autoscaler.min_replicas', `must be at most max_replicas; got ${min}`)
  }
}

type ScalingAction = Readonly<{ schedule: string; replicas: number }>

function checkSchedules(actions: readonly ScalingAction[], problems: ProblemList): void {
  for (const [index, { schedule }] of actions.entries()) {
    const problem = scheduleProblem(schedule)
    if (problem) problems.add(`scaling-actions[${index}].schedule`, problem)
  }
}

/** Only what the schema knows, so that no tenant stores what nobody checked; nulls of probes go. */
function tidy(value: unknown, shape: Shape): unknown {
  if (Array.isArray(value)) return value.map((item) => tidy(item, shape.items ?? {}))
  if (!isPlain(value)) return value
  const out: Record<string, unknown> = {}
  for (const [name, property] of Object.entries(shape.properties ?? {})) {
    const own = Object.hasOwn(value, name) ? value[name] : undefined
    const given = own === undefined ? property.default : own
    if (given !== undefined) out[name] = tidy(given, property)
  }
  return out
}

function withoutNulls(value: Plain): Plain {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== null))
}

function isPlain(value: unknown): value is Plain {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
