/**
 * Removes what is left of a run, working from what it finds: after a clean stop only files, after
 * `kill -9` processes, engines, mounts, namespaces and firewall rules too.
 */
import { readdir, readFile, readlink, rm, rmdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createManagedEngine } from '../../node/engine/managed/index.ts'
import { silentLogger } from '../../protocol/log/index.ts'
import { mountPointsUnder, readMounts } from '../../protocol/mounts/index.ts'
import { nodeFolders } from '../network/index.ts'
import { namespacesNamed } from '../street/namespaces.ts'
import { runVariable } from '../street/processes.ts'
import { runCommand } from '../street/run-command.ts'
import { removeHostRules } from './host-rules.ts'
import { isDead, type Run } from './run.ts'

const netnsFolder = '/run/netns'

export type SweepOptions = Readonly<{
  /** Whether it may have had engines, namespaces and rules: as root on Linux. */
  engines: boolean
}>

/** Twice is harmless. @throws what could not be removed. */
export async function sweepRun(run: Run, { engines }: SweepOptions): Promise<void> {
  if (process.platform === 'linux') {
    await endProcesses(async (pid) => (await environmentOf(pid)).includes(markOf(run)))
  }
  if (engines) await sweepEngines(run)
  await unmountAll(run)
  await rm(run.path, { recursive: true, force: true })
}

/** One-time keys lie on a tmpfs of each process's own, where it may mount one. */
async function unmountAll(run: Run): Promise<void> {
  if (process.platform !== 'linux') return
  for (const point of mountPointsUnder(await readMounts(), run.path)) {
    await runCommand(['umount', '--lazy', point])
  }
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
  await endProcesses((pid) => isGuard(pid, run))
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
  await endProcesses(async (pid) => inodes.has(await namespaceOf(pid)))
  for (const name of namespaces) await runCommand(['ip', 'netns', 'delete', name])
  await removeHostRules(run, { signal: AbortSignal.timeout(30_000) })
  if (namespaces.length > 0) await removeNetnsFolder()
}

/** `ip netns` makes it at its first use; who needs it again makes it again. */
async function removeNetnsFolder(): Promise<void> {
  if ((await namespacesNamed('')).length > 0) return
  await runCommand(['umount', netnsFolder]).catch(() => {}) // another has just begun
  await rmdir(netnsFolder).catch(() => {})
}

function markOf(run: Run): string {
  return `${runVariable}=${run.name}`
}

/** SIGKILL until none is left that `isOurs`; gives up after 5 s. */
async function endProcesses(isOurs: (pid: number) => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 250; attempt++) {
    let left = 0
    const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)
    for (const pid of pids) {
      if (pid === process.pid || !(await isOurs(pid)) || (await isZombie(pid))) continue
      left += 1
      try {
        process.kill(pid, 'SIGKILL')
      } catch {
        // it has ended meanwhile
      }
    }
    if (left === 0) return
    await sleep(20)
  }
}

async function isGuard(pid: number, run: Run): Promise<boolean> {
  const args = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0')
  return (
    args.some((word) => word.endsWith('/guard-process.ts')) &&
    args.some((word) => word.startsWith(`${run.path}/`))
  )
}

async function environmentOf(pid: number): Promise<readonly string[]> {
  return (await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')).split('\0')
}

async function namespaceOf(pid: number): Promise<string> {
  return await readlink(`/proc/${pid}/ns/net`).catch(() => '')
}

async function isZombie(pid: number): Promise<boolean> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ') Z')
  return / [ZX] /.test(text.slice(text.lastIndexOf(')'), text.lastIndexOf(')') + 4))
}
