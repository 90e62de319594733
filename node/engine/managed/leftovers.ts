/**
 * Ends and removes what an engine leaves that did not stop by itself: programs, containers without
 * an engine, bridges, mounts, files. It works from what it finds, in any state, so that a start
 * after any crash begins clean, and a stop leaves nothing.
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { mountPointsUnder, readMounts } from '../../../protocol/mounts/index.ts'
import { EngineError } from '../errors.ts'
import { clearCgroup } from './cgroups.ts'
import { unmountAll } from './mounts.ts'
import type { ManagedPaths } from './paths.ts'
import { endProcesses, findProcesses } from './processes.ts'

const run = promisify(execFile)

/** It leaves containers alone, so it needs only a moment. */
const dockerdGraceMs = 5_000
const containerdGraceMs = 5_000

/** Stops the engine's programs and takes away all they made. Idempotent. */
export async function removeEngine(paths: ManagedPaths): Promise<void> {
  await endProcesses(await findProcesses('dockerd', paths.daemonConfig), dockerdGraceMs)
  await endProcesses(await findProcesses('containerd', paths.containerdConfig), containerdGraceMs)
  await endShims(paths)
  await clearCgroup(paths.cgroup)
  await removeBridges(paths)
  await unmountAll(paths)
  await removeFolders(paths)
}

/** Shims outlive containerd by design, and leave their sockets when they are killed. */
async function endShims({ containerdSocket, containerdState }: ManagedPaths): Promise<void> {
  const shims = await findProcesses('containerd-shim-runc-v2', containerdSocket)
  await endProcesses(shims, 0)
  const tasks = join(containerdState, 'io.containerd.runtime.v2.task', dockerNamespace)
  for (const id of await readdir(tasks).catch(() => [])) {
    // Where a shim listens: containerd's runtime/v2/shim, SocketAddress.
    const key = join(containerdSocket, dockerNamespace, id)
    const name = createHash('sha256').update(key).digest('hex')
    await rm(`/run/containerd/s/${name}`, { force: true })
  }
}

/** dockerd's namespace in containerd. */
const dockerNamespace = 'moby'

/** Docker leaves bridges standing when it stops; its database names them. */
async function removeBridges({ dataRoot }: ManagedPaths): Promise<void> {
  const database = join(dataRoot, 'network', 'files', 'local-kv.db')
  const text = await readFile(database, 'latin1').catch(() => '')
  for (const bridge of new Set(text.match(/plk[0-9a-f]{10}/g) ?? [])) {
    await run('ip', ['link', 'delete', bridge]).catch(() => {})
  }
}

async function removeFolders({ dataRoot, runDir }: ManagedPaths): Promise<void> {
  const mounts = await readMounts()
  for (const folder of [dataRoot, runDir]) {
    // Never delete through a mount that would not go away.
    const [held] = mountPointsUnder(mounts, folder)
    if (held !== undefined) {
      throw new EngineError('ENGINE_START_FAILED', `${held} is still mounted; unmount it by hand`)
    }
    await rm(folder, { recursive: true, force: true, maxRetries: 3 })
  }
}
