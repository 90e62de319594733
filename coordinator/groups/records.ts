/**
 * A new record from a request, and the next record from a change: pure, but for the sealing that is
 * passed in. Here it is decided what makes a new version, that is, which changes restart containers.
 */
import { isDeepStrictEqual } from 'node:util'
import type { GroupId } from '../../protocol/ids.ts'
import type { GroupChange, GroupContainer, GroupInput, GroupRecord, ProjectScope } from './types.ts'

/** Seals `value` for one field of the record at hand. */
export type SealSecret = (field: 'env' | 'credentials' | 'logging', value: unknown) => Uint8Array

export function newRecord({
  id,
  scope,
  input,
  nowMs,
  seal,
}: Readonly<{
  id: GroupId
  scope: ProjectScope
  input: GroupInput
  nowMs: number
  seal: SealSecret
}>): GroupRecord {
  const { env, credentials, logging, container, countryCodes, ...rest } = input
  return {
    ...rest,
    id,
    organization: scope.organization,
    organizationId: scope.organizationId,
    project: scope.project,
    projectId: scope.projectId,
    version: 1,
    createdMs: nowMs,
    updatedMs: nowMs,
    desiredSinceMs: nowMs,
    desired: input.autostart ? 'running' : 'stopped',
    container: {
      ...container,
      ...(Object.keys(env).length > 0 ? { envSealed: seal('env', env) } : {}),
      ...(credentials ? { credentialsSealed: seal('credentials', credentials) } : {}),
      credentialsGiven: credentials !== undefined,
    },
    countryCodes: [...countryCodes],
    ...(logging === undefined || logging === null
      ? {}
      : { loggingSealed: seal('logging', logging) }),
  }
}

/** The same object when nothing changes, so that a repeated PATCH writes and restarts nothing. */
export function changeRecord({
  group,
  change,
  nowMs,
  seal,
}: Readonly<{
  group: GroupRecord
  change: GroupChange
  nowMs: number
  seal: SealSecret
}>): GroupRecord {
  const { displayName, replicas, countryCodes, extension, kept, logging } = change
  const next: GroupRecord = {
    ...group,
    ...(displayName === undefined ? {} : { displayName }),
    ...(replicas === undefined ? {} : { replicas }),
    ...(countryCodes === undefined ? {} : { countryCodes: [...countryCodes] }),
    ...(kept === undefined ? {} : { kept }),
    extension: { ...group.extension, ...extension },
    container: nextContainer(group.container, change, seal),
  }
  const changed = withLogging(next, logging, seal)
  if (isDeepStrictEqual(changed, group)) return group
  const restarts = change.newVersion === true || needsNewContainers(group, changed)
  return { ...changed, version: group.version + (restarts ? 1 : 0), updatedMs: nowMs }
}

function nextContainer(
  container: GroupContainer,
  { container: changes, priorityUnset, env, credentials }: GroupChange,
  seal: SealSecret,
): GroupContainer {
  const { priority, envSealed, ...rest } = container
  const keptEnv = env === undefined ? envSealed : undefined
  const newEnv = env && Object.keys(env).length > 0 ? seal('env', env) : undefined
  const sealedEnv = keptEnv ?? newEnv
  return {
    ...rest,
    ...(priority === undefined || priorityUnset ? {} : { priority }),
    ...changes,
    ...(sealedEnv ? { envSealed: sealedEnv } : {}),
    ...(credentials
      ? { credentialsSealed: seal('credentials', credentials), credentialsGiven: true }
      : {}),
  }
}

function withLogging(group: GroupRecord, logging: unknown, seal: SealSecret): GroupRecord {
  if (logging === undefined) return group
  const { loggingSealed: _, ...rest } = group
  return logging === null ? rest : { ...rest, loggingSealed: seal('logging', logging) }
}

/**
 * Image, command, environment and resources are fixed when a container is made. Who may pull the
 * image, where it runs, how many there are and what it is called are not.
 */
function needsNewContainers(before: GroupRecord, after: GroupRecord): boolean {
  const made = ({ container }: GroupRecord): unknown => {
    const { priority: _p, credentialsSealed: _c, credentialsGiven: _g, ...rest } = container
    return rest
  }
  return !isDeepStrictEqual(made(before), made(after))
}
