/**
 * What an engine says of itself, as capacity adverts publish it: the coordinator gives strangers'
 * work only to versions without known escapes, so nothing here is guessed.
 */
import { readFile } from 'node:fs/promises'
import { release } from 'node:os'
import { type Mount, mountOf, readMounts } from '../../protocol/mounts/index.ts'
import { parseInfo, parseVersion } from './docker-answers.ts'
import type { CallOptions, DockerApi } from './docker-api.ts'
import type { EngineInfo } from './engine.ts'

export type DockerInfoInit = Readonly<{ managed: boolean; nofileMax?: number | undefined }>
export type DockerInfoComponents = Readonly<{
  toolkitVersion: () => Promise<string | undefined>
}>

export async function readDockerInfo(
  api: DockerApi,
  { managed, nofileMax }: DockerInfoInit,
  { toolkitVersion }: DockerInfoComponents,
  options: CallOptions,
): Promise<EngineInfo> {
  const [versionAnswer, infoAnswer, nvidiaToolkit] = await Promise.all([
    api.get('/version', {}, options),
    api.get('/info', {}, options),
    toolkitVersion(),
  ])
  const version = parseVersion(versionAnswer)
  const info = parseInfo(infoAnswer)
  const component = (name: string): string | undefined =>
    version.Components?.find((it) => it.Name.toLowerCase() === name)?.Version
  const containerd = component('containerd')
  const runc = component('runc')
  return {
    kind: 'docker',
    managed,
    versions: {
      engine: version.Version,
      ...(containerd === undefined ? {} : { containerd }),
      ...(runc === undefined ? {} : { runc }),
      ...(nvidiaToolkit === undefined ? {} : { nvidiaToolkit }),
      kernel: version.KernelVersion ?? info.KernelVersion ?? release(),
    },
    storageQuota: await storageQuota(info),
    nofileMax: nofileMax ?? (await ownNofileMax()),
  }
}

/** Docker limits a writable layer only with overlay2 over XFS that is mounted with `pquota`. */
async function storageQuota(
  info: ReturnType<typeof parseInfo>,
): Promise<EngineInfo['storageQuota']> {
  const backing = info.DriverStatus?.find(([name]) => name === 'Backing Filesystem')?.[1]
  if (info.Driver !== 'overlay2' || backing !== 'xfs') return 'watched'
  return hasProjectQuota(await readMounts(), info.DockerRootDir) ? 'exact' : 'watched'
}

/** Whether the mount that holds `path` has project quotas. */
export function hasProjectQuota(mounts: readonly Mount[], path: string): boolean {
  const options = mountOf(mounts, path)?.options ?? []
  return options.some((it) => it === 'pquota' || it === 'prjquota')
}

/** The limit of this process, as the nearest guess at that of an engine we did not start. */
async function ownNofileMax(): Promise<number> {
  const limits = await readFile('/proc/self/limits', 'utf8').catch(() => '')
  return parseNofileMax(limits) ?? 1024
}

/** The hard limit on open files in the text of `/proc/PID/limits`. */
export function parseNofileMax(limits: string): number | undefined {
  const printed = /^Max open files\s+\S+\s+(\d+|unlimited)/m.exec(limits)?.[1]
  if (printed === undefined) return undefined
  return printed === 'unlimited' ? 1 << 20 : Number(printed)
}
