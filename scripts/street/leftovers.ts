/**
 * What a run left behind. Every process of a run is known by its environment, its cgroup, its
 * network namespace or its command line; a daemon that forgot its engine, or an engine that forgot
 * a container, is found by at least one of them.
 */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { mountPointsUnder, readMounts } from '../../protocol/mounts/index.ts'
import { type Namespace, namespacesNamed } from './namespaces.ts'
import { findProcesses, type ProcessSight } from './process-table.ts'
import { runVariable } from './processes.ts'
import { filesUnder, type RunFolder } from './run-folder.ts'

export type Leftovers = Readonly<{
  processes: readonly { pid: number; command: string }[]
  namespaces: readonly string[]
  mounts: readonly string[]
  cgroups: readonly string[]
  files: readonly string[]
}>

export type LeftoversQuery = Readonly<{
  run: RunFolder
  /** Of this run, removed ones too: a process may live on in one. */
  namespaces?: readonly Namespace[]
}>

export async function findLeftovers({ run, namespaces = [] }: LeftoversQuery): Promise<Leftovers> {
  const inodes = new Set(namespaces.map(({ inode }) => `net:[${inode}]`))
  return {
    processes: await processesOf(run, inodes),
    namespaces: await namespacesNamed(`${run.name}-`),
    mounts: await mountsOf(run),
    cgroups: await cgroupsOf(run),
    files: await filesUnder(run.path),
  }
}

/** In the run's folder, and the names of its namespaces. */
async function mountsOf(run: RunFolder): Promise<string[]> {
  const mounts = await readMounts()
  const names = mountPointsUnder(mounts, '/run/netns')
  return [
    ...mountPointsUnder(mounts, run.path),
    ...names.filter((point) => point.includes(`/${run.name}-`)),
  ]
}

/** How many things are left: 0 is clean. */
export function countLeftovers(left: Leftovers): number {
  const { processes, namespaces, mounts, cgroups, files } = left
  return [processes, namespaces, mounts, cgroups, files].reduce(
    (sum, { length }) => sum + length,
    0,
  )
}

/** @param inodes of network namespaces, as /proc/PID/ns/net has them, `net:[…]` */
export async function processesOf(
  run: RunFolder,
  inodes: ReadonlySet<string> = new Set(),
): Promise<readonly { pid: number; command: string }[]> {
  const found = await findProcesses(isOf(run, inodes))
  return found.map(({ pid, words }) => ({ pid, command: words.join(' ').trim() }))
}

/** Whether a process belongs to the run, by whatever shows it. */
export function isOf(
  run: RunFolder,
  inodes: ReadonlySet<string> = new Set(),
): (sight: ProcessSight) => boolean {
  return ({ words, environment, cgroup, netns }) => {
    const runOfIt = environment.find((entry) => entry.startsWith(`${runVariable}=`))
    return (
      runOfIt === `${runVariable}=${run.name}` ||
      words.some((word) => word.includes(`${run.path}/`)) ||
      new RegExp(`/${run.name}(-|/|$)`, 'm').test(cgroup) ||
      // The kernel gives a removed namespace's number to the next one, which may be another run's.
      (inodes.has(netns) && !runOfIt)
    )
  }
}

/** Two levels down: cgroup v1 has a tree for each controller, v2 one tree. */
export async function cgroupsOf(run: RunFolder): Promise<string[]> {
  const top = '/sys/fs/cgroup'
  const names = async (path: string): Promise<string[]> =>
    (await readdir(path, { withFileTypes: true }).catch(() => []))
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => join(path, name))
  const folders = await names(top)
  const all = [...folders, ...(await Promise.all(folders.map(names))).flat()]
  const ours = (path: string): boolean => {
    const name = path.slice(path.lastIndexOf('/') + 1)
    return name === run.name || name.startsWith(`${run.name}-`)
  }
  return all.filter(ours)
}
