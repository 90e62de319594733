/**
 * The cgroup that holds every container of one engine. It is what still knows a container's
 * processes after dockerd, containerd and its shim were killed: so it is what ends them.
 */
import { readdir, readFile, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const cgroupRoot = '/sys/fs/cgroup'

/** The engine's folder in every hierarchy: one on cgroup v2, one a controller on v1. */
async function foldersOf(cgroup: string): Promise<readonly string[]> {
  const hierarchies = await readdir(cgroupRoot, { withFileTypes: true }).catch(() => [])
  const candidates = [
    join(cgroupRoot, cgroup),
    ...hierarchies
      .filter((entry) => entry.isDirectory())
      .map((entry) => join(cgroupRoot, entry.name, cgroup)),
  ]
  const exists = await Promise.all(
    candidates.map((path) =>
      readdir(path).then(
        () => true,
        () => false,
      ),
    ),
  )
  return candidates.filter((_, at) => exists[at])
}

/** A folder and those below it, the deepest first. */
async function treeOf(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
  const below = await Promise.all(
    entries.filter((it) => it.isDirectory()).map((it) => treeOf(join(folder, it.name))),
  )
  return [...below.flat(), folder]
}

/** Ends every process in the engine's cgroup and removes the cgroup. Idempotent. */
export async function clearCgroup(cgroup: string): Promise<void> {
  for (let attempt = 0; attempt < 50; attempt++) {
    const folders = (await Promise.all((await foldersOf(cgroup)).map(treeOf))).flat()
    if (folders.length === 0) return
    for (const folder of folders) await killIn(folder)
    // A cgroup can be removed once its last process was reaped, a moment after it died.
    const removed = await Promise.all(
      folders.map((it) =>
        rmdir(it).then(
          () => true,
          () => false,
        ),
      ),
    )
    if (!removed.every(Boolean)) await sleep(20)
  }
}

async function killIn(folder: string): Promise<void> {
  // A paused container's processes take no signal, not even this one, until they are thawed (v1).
  await writeFile(join(folder, 'freezer.state'), 'THAWED', { flag: 'r+' }).catch(() => {})
  const text = await readFile(join(folder, 'cgroup.procs'), 'utf8').catch(() => '')
  for (const pid of text.split('\n').filter(Boolean).map(Number)) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // Gone meanwhile.
    }
  }
}
