/**
 * Removes what is left of a run, working from what it finds: after a clean stop only files, after
 * `kill -9` processes, engines, mounts, namespaces and firewall rules too.
 */
import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { createManagedEngine } from '../../node/engine/managed/index.ts'
import { silentLogger } from '../../protocol/log/index.ts'
import { unmountUnder } from '../../protocol/mounts/index.ts'
import { nodeFolders } from '../network/index.ts'
import { namespacesNamed, netnsFolder, removeNetnsFolder } from '../street/namespaces.ts'
import { killProcesses, type ProcessSight } from '../street/process-table.ts'
import { runVariable } from '../street/processes.ts'
import { runCommand } from '../street/run-command.ts'
import { removeHostRules } from './host-rules.ts'
import { isDead, type Run } from './run.ts'

export type SweepOptions = Readonly<{
  /** Whether it may have had engines, namespaces and rules: as root on Linux. */
  engines: boolean
}>

/** Twice is harmless. @throws what could not be removed. */
export async function sweepRun(run: Run, { engines }: SweepOptions): Promise<void> {
  if (process.platform === 'linux') {
    const mark = `${runVariable}=${run.name}`
    await killProcesses(({ environment }) => environment.includes(mark))
  }
  if (engines) await sweepEngines(run)
  // One-time keys lie on a tmpfs of each process's own, where it may mount one.
  await unmountUnder(run.path)
  await rm(run.path, { recursive: true, force: true })
}

/** Names of dead runs that have namespaces, though their folders may be gone. */
export async function deadNamespaceOwners(): Promise<string[]> {
  const names = new Set<string>()
  for (const name of await namespacesNamed('potluck-dev-')) {
    const owner = /^potluck-dev-\d+-\d+/.exec(name)?.[0]
    if (owner && (await isDead(owner))) names.add(owner)
  }
  return [...names]
}

async function sweepEngines(run: Run): Promise<void> {
  await killProcesses(isGuard(run))
  const entries = await readdir(run.path, { withFileTypes: true }).catch(() => [])
  const nodes = entries.filter((entry) => entry.isDirectory() && /^node-\d+$/.test(entry.name))
  // A graceful stop of each: it knows its shims, its cgroup and its mounts.
  await Promise.all(
    nodes.map(({ name }) =>
      createManagedEngine(nodeFolders(run, name), { logger: silentLogger }).stop(),
    ),
  )
  const namespaces = await namespacesNamed(`${run.name}-`)
  const inodes = new Set(
    await Promise.all(
      namespaces.map(async (name) => `net:[${(await stat(join(netnsFolder, name))).ino}]`),
    ),
  )
  await killProcesses(({ netns }) => inodes.has(netns))
  for (const name of namespaces) await runCommand(['ip', 'netns', 'delete', name])
  await removeHostRules(run, { signal: AbortSignal.timeout(30_000) })
  if (namespaces.length > 0) await removeNetnsFolder()
}

function isGuard(run: Run): (sight: ProcessSight) => boolean {
  return ({ words }) =>
    words.some((word) => word.endsWith('/guard-process.ts')) &&
    words.some((word) => word.startsWith(`${run.path}/`))
}
