/**
 * Requests as the groups service takes them: units made plain, defaults filled in, and what no
 * schema can say refused (image syntax, GPU classes, which credentials). Pure.
 */
import { isDeepStrictEqual } from 'node:util'
import type { AddressPolicy } from '../../protocol/address/index.ts'
import type { RegistryCredentials } from '../../protocol/control/index.ts'
import {
  type GroupChange,
  type GroupExtension,
  type GroupInput,
  type GroupRecord,
  gpuClassById,
  imageReferenceProblem,
} from '../groups/index.ts'
import {
  keptRestarts,
  patchableNames,
  readKept,
  readLogging,
  withScalingActions,
} from './read-kept.ts'
import type {
  CreateGroupBody,
  PatchGroupBody,
  RegistryAuthentication,
} from './schemas/group-request.ts'
import type { ContainerLimits } from './settings.ts'
import { ProblemList } from './validation.ts'

const mib = 2 ** 20
const defaultShmBytes = 64 * mib
const defaultStorageBytes = 2 ** 30

/** What the operator says of groups. */
export type GroupReading = Readonly<{
  limits: ContainerLimits
  /** Where log sinks may be. */
  addresses: AddressPolicy
}>

export const defaultExtension: GroupExtension = {
  lostAfterMs: 0,
  orphanAfterMs: 3_600_000,
  strict: false,
  minUploadMbps: 0,
  minDownloadMbps: 0,
  sensitive: false,
}

/** @throws {RequestInvalidError} */
export function readCreate(body: CreateGroupBody, { limits, addresses }: GroupReading): GroupInput {
  const problems = new ProblemList()
  const { container } = body
  const { resources } = container
  const env = container.environment_variables ?? {}
  checkImage(container.image, problems)
  checkEnv(env, limits, problems)
  checkCommand(container.command, limits, problems)
  const credentials = readCredentials(container.registry_authentication, problems)
  const logging = readLogging(container.logging, addresses, problems)
  const caching = container.image_caching
  const input: GroupInput = {
    name: body.name,
    displayName: body.display_name ?? body.name,
    autostart: body.autostart_policy,
    replicas: body.replicas,
    container: {
      image: container.image,
      milliCpus: resources.cpu * 1_000,
      memoryBytes: resources.memory * mib,
      storageBytes: resources.storage_amount ?? defaultStorageBytes,
      shmBytes: bytesOfMib(resources.shm_size) ?? defaultShmBytes,
      gpuClasses: readGpuClasses(resources.gpu_classes ?? [], problems),
      command: [...(container.command ?? [])],
      ...(container.priority ? { priority: container.priority } : {}),
    },
    env,
    ...(credentials ? { credentials } : {}),
    ...(logging ? { logging } : {}),
    restartPolicy: body.restart_policy,
    countryCodes: [...new Set(body.country_codes ?? [])],
    extension: { ...defaultExtension, ...readExtension(body.potluck ?? {}) },
    kept: readKept(
      withScalingActions(body, problems),
      caching === undefined ? {} : { image_caching: caching },
      problems,
    ),
  }
  problems.throwIfAny()
  return input
}

/** What of the group is needed besides its record to know what a PATCH changes. */
export type OpenedSecrets = Readonly<{ env: Readonly<Record<string, string>>; logging: unknown }>

/** @throws {RequestInvalidError} */
export function readPatch(
  body: PatchGroupBody,
  group: GroupRecord,
  opened: OpenedSecrets,
  { limits, addresses }: GroupReading,
): GroupChange {
  const problems = new ProblemList()
  const container = body.container ?? {}
  const env = mergeEnv(container.environment_variables, opened.env)
  checkEnv(env, limits, problems)
  checkCommand(container.command, limits, problems)
  if (container.image) checkImage(container.image, problems)
  const credentials = readCredentials(container.registry_authentication, problems)
  const logging = readLogging(container.logging, addresses, problems)
  const caching = container.image_caching
  const before = {
    ...group.kept,
    ...(caching === undefined ? {} : { image_caching: caching }),
  }
  const asked = withScalingActions(body, problems)
  const kept = readKept(asked, before, problems, patchableNames)
  const { display_name: displayName, replicas, country_codes: countryCodes } = body
  const change: GroupChange = {
    ...(displayName === undefined ? {} : { displayName: displayName ?? group.name }),
    ...(typeof replicas === 'number' ? { replicas } : {}),
    ...(countryCodes === undefined ? {} : { countryCodes: [...new Set(countryCodes ?? [])] }),
    ...(body.potluck ? { extension: readExtension(body.potluck) } : {}),
    container: readContainerPatch(container, problems),
    priorityUnset: container.priority === null,
    // Sealing the same again would look like a change, and restart every container.
    ...(isDeepStrictEqual({ ...env }, { ...opened.env }) ? {} : { env }),
    ...(credentials ? { credentials } : {}),
    ...(logging === undefined || isDeepStrictEqual(logging ?? undefined, opened.logging)
      ? {}
      : { logging }),
    kept,
    newVersion: keptRestarts(group.kept, kept),
  }
  problems.throwIfAny()
  return change
}

function readContainerPatch(
  container: NonNullable<PatchGroupBody['container']>,
  problems: ProblemList,
): Partial<GroupInput['container']> {
  const { image, command, priority } = container
  const resources = container.resources ?? {}
  const { cpu, memory, gpu_classes: gpus, storage_amount: storage, shm_size: shm } = resources
  return {
    ...(image ? { image } : {}),
    ...(command === undefined ? {} : { command: [...(command ?? [])] }),
    ...(priority ? { priority } : {}),
    ...(typeof cpu === 'number' ? { milliCpus: cpu * 1_000 } : {}),
    ...(typeof memory === 'number' ? { memoryBytes: memory * mib } : {}),
    ...(gpus === undefined ? {} : { gpuClasses: readGpuClasses(gpus ?? [], problems) }),
    ...(storage === undefined ? {} : { storageBytes: storage ?? defaultStorageBytes }),
    ...(shm === undefined ? {} : { shmBytes: bytesOfMib(shm) ?? defaultShmBytes }),
  }
}

/** RFC 7396: variables that are not named stay, null takes one away, null for all takes all. */
function mergeEnv(
  patch: Readonly<Record<string, string | null>> | null | undefined,
  before: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  if (patch === undefined) return before
  const merged = new Map(patch === null ? [] : Object.entries(before))
  for (const [name, value] of Object.entries(patch ?? {})) {
    if (value === null) merged.delete(name)
    else merged.set(name, value)
  }
  return Object.fromEntries(merged)
}

function checkEnv(
  env: Readonly<Record<string, string>>,
  limits: ContainerLimits,
  problems: ProblemList,
): void {
  const { envNameLengthMax, envVariablesMax, envBytesMax } = limits
  const field = 'container.environment_variables'
  let bytes = 0
  for (const [name, value] of Object.entries(env)) {
    bytes += Buffer.byteLength(name) + Buffer.byteLength(value)
    const isName =
      name.length > 0 && name.length <= envNameLengthMax && !/[=\p{Cc}\p{Cs}]/u.test(name)
    if (!isName) {
      const shown = JSON.stringify(name.slice(0, 60))
      problems.add(
        field,
        `names must have 1 to ${envNameLengthMax} characters, without "=" and control characters; got ${shown}`,
      )
    }
    if (value.includes('\0')) problems.add(`${field}.${name}`, 'must not hold a zero character')
  }
  const count = Object.keys(env).length
  if (count > envVariablesMax) {
    problems.add(field, `must have at most ${envVariablesMax} variables; got ${count}`)
  }
  if (bytes > envBytesMax) {
    problems.add(field, `must have at most ${envBytesMax} bytes in all; got ${bytes}`)
  }
}

function checkCommand(
  command: readonly string[] | null | undefined,
  { commandBytesMax }: ContainerLimits,
  problems: ProblemList,
): void {
  const bytes = Buffer.byteLength((command ?? []).join(''))
  if (bytes > commandBytesMax) {
    problems.add('container.command', `must have at most ${commandBytesMax} bytes; got ${bytes}`)
  }
}

function checkImage(image: string, problems: ProblemList): void {
  const problem = imageReferenceProblem(image)
  // A reference with a user in it (https://user:password@…) is not repeated.
  const isSafe = !/:\/\/|@(?!sha256:)/.test(image)
  const got = isSafe ? `; got ${JSON.stringify(image.slice(0, 100))}` : ''
  if (problem) problems.add('container.image', `${problem}${got}`)
}

function readGpuClasses(ids: readonly string[], problems: ProblemList): string[] {
  const known: string[] = []
  for (const [index, id] of ids.entries()) {
    const found = gpuClassById(id)
    if (found) known.push(found.id)
    else {
      problems.add(
        `container.resources.gpu_classes[${index}]`,
        `must be the id of a GPU class, as GET …/gpu-classes lists them; got ${JSON.stringify(id)}`,
      )
    }
  }
  return [...new Set(known)]
}

/** The longest user name that travels to a cache (protocol/control, CredentialsSchema). */
const usernameLengthMax = 1_000

function readCredentials(
  given: RegistryAuthentication | null | undefined,
  problems: ProblemList,
): RegistryCredentials | undefined {
  const field = 'container.registry_authentication'
  const { aws_ecr: ecr, basic, docker_hub: hub, gcp_gar: gar, gcp_gcr: gcr } = given ?? {}
  const kinds = Object.entries(given ?? {}).filter(([, value]) => value)
  if (kinds.length > 1) {
    problems.add(field, `must be of one kind; got ${kinds.map(([name]) => name).join(', ')}`)
  }
  if (ecr) {
    problems.add(
      `${field}.aws_ecr`,
      'is not offered by this version; use basic with user name AWS and the password that `aws ecr get-login-password` prints',
    )
  }
  // Google's registries take a service key as a password: cloud.google.com/artifact-registry/docs/docker/authentication
  const key = gar ?? gcr
  const credentials =
    basic ??
    (hub ? { username: hub.username, password: hub.personal_access_token } : undefined) ??
    (key ? { username: '_json_key', password: key.service_key } : undefined)
  if (!credentials) return undefined
  const { username, password } = credentials
  if (username.length > usernameLengthMax) {
    problems.add(field, `user names may have at most ${usernameLengthMax} characters`)
  }
  return { username, password }
}

function readExtension(potluck: NonNullable<PatchGroupBody['potluck']>): Partial<GroupExtension> {
  const { lost_after: lost, orphan_after: orphan, strict } = potluck
  const { min_upload_mbps: up, min_download_mbps: down, sensitive } = potluck
  return {
    ...(lost === undefined ? {} : { lostAfterMs: msOf(lost) ?? defaultExtension.lostAfterMs }),
    ...(orphan === undefined
      ? {}
      : { orphanAfterMs: msOf(orphan) ?? defaultExtension.orphanAfterMs }),
    ...(strict === undefined ? {} : { strict: strict ?? defaultExtension.strict }),
    ...(up === undefined ? {} : { minUploadMbps: up ?? 0 }),
    ...(down === undefined ? {} : { minDownloadMbps: down ?? 0 }),
    ...(sensitive === undefined ? {} : { sensitive: sensitive ?? false }),
  }
}

function msOf(seconds: number | null): number | undefined {
  return seconds === null ? undefined : seconds * 1_000
}

function bytesOfMib(value: number | null | undefined): number | undefined {
  return typeof value === 'number' ? value * mib : undefined
}
