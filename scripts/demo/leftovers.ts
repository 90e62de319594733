/**
 * What a run left: counted after a clean stop, where the answer has to be nothing, and removed by
 * force where a run was killed or cut short. A daemon that was killed leaves an engine, whose
 * programs outlive it on purpose.
 */
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createManagedEngine } from '../../node/engine/index.ts'
import { managedPaths } from '../../node/engine/managed/paths.ts'
import { silentLogger } from '../../protocol/log/index.ts'
import { unmountUnder } from '../../protocol/mounts/index.ts'
import { nodeFolders } from '../network/index.ts'
import { countLeftovers, findLeftovers, type Namespace, type RunFolder } from '../street/index.ts'
import { cgroupsOf, isOf } from '../street/leftovers.ts'
import { namespacesNamed, removeDeadNamespaces } from '../street/namespaces.ts'
import { killProcesses, type ProcessSight } from '../street/process-table.ts'
import { runCommand } from '../street/run-command.ts'

/** Layers of four engines take more than a gigabyte, and /tmp is memory on many machines. */
export const runParent = '/var/tmp'

export type Left = Readonly<{ count: number; what: readonly string[] }>

/** To be asked when all has stopped and the run's folder is removed. */
export async function findLeft(
  run: RunFolder,
  {
    nodes,
    namespaces,
  }: { readonly nodes: readonly string[]; readonly namespaces: readonly Namespace[] },
): Promise<Left> {
  const left = await findLeftovers({ run, namespaces })
  const cgroups = await Promise.all(nodes.map((name) => engineCgroups(run, name)))
  const all = { ...left, cgroups: [...left.cgroups, ...cgroups.flat()] }
  const what = [
    ...all.processes.map(({ pid, command }) => `process ${pid} ${command.slice(0, 120)}`),
    ...all.namespaces.map((name) => `namespace ${name}`),
    ...all.mounts.map((path) => `mount ${path}`),
    ...all.cgroups.map((path) => `cgroup ${path}`),
    ...all.files.map((path) => `file ${path}`),
  ]
  return { count: countLeftovers(all), what }
}

/** An engine's containers live in a cgroup of its own; it goes with the last of them. */
async function engineCgroups(run: RunFolder, node: string): Promise<string[]> {
  const { dataDir, runDir } = nodeFolders(run, node)
  const name = managedPaths(dataDir, runDir).cgroup.replace(/^\//, '')
  return await cgroupsOf({ name, path: dataDir })
}

/** Ends and removes all of a run, whatever state it is in. Twice is harmless. */
export async function sweep(run: RunFolder): Promise<void> {
  await endProcesses(run)
  const entries = await readdir(run.path, { withFileTypes: true }).catch(() => [])
  const nodes = entries.filter((entry) => entry.isDirectory() && /^node\d+$/.test(entry.name))
  for (const { name } of nodes) {
    await createManagedEngine(nodeFolders(run, name), { logger: silentLogger }).stop()
  }
  await endProcesses(run)
  for (const name of await namespacesNamed(`${run.name}-`)) {
    await runCommand(['ip', 'netns', 'delete', name]).catch(() => {}) // it went by itself
  }
  await unmountUnder(run.path)
  await rm(run.path, { recursive: true, force: true })
}

/** Runs whose process was killed. @returns their names */
export async function sweepDeadRuns(): Promise<string[]> {
  const swept: string[] = []
  for (const name of await readdir(runParent)) {
    const pid = /^potluck-(\d+)-\d+$/.exec(name)?.[1]
    if (!pid || (await isAlive(pid))) continue
    await sweep({ name, path: join(runParent, name) })
    swept.push(name)
  }
  await removeDeadNamespaces()
  return swept
}

async function isAlive(pid: string): Promise<boolean> {
  return (await readdir('/proc')).includes(pid)
}

/** Daemons and guards; engines are stopped by who knows their mounts. */
async function endProcesses(run: RunFolder): Promise<void> {
  const isOurs = isOf(run)
  const isEngine = ({ words }: ProcessSight): boolean =>
    /^\S*(dockerd|containerd)\S* /.test(words.join(' '))
  await killProcesses((sight) => isOurs(sight) && !isEngine(sight))
}
