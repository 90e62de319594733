/**
 * The name and the folder of one run of the testbed. All that a run makes (namespaces, sockets,
 * logs, stores) carries this name, so that it is told apart from another run's on the same machine
 * and can be found, and counted, when it should all be gone.
 */
import { existsSync } from 'node:fs'
import { mkdir, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export type RunFolder = Readonly<{
  /** `potluck-<pid>-<n>`: the owner's process id tells a live run from a dead one. */
  name: string
  path: string
}>

let runs = 0

/**
 * Makes the folder of a new run. Default parent is the system's temporary folder: unix sockets of
 * engines lie in it, and their paths may not be longer than 107 bytes, which a deep clone exceeds.
 */
export async function createRunFolder({ parent = tmpdir() } = {}): Promise<RunFolder> {
  await removeDeadFolders(parent)
  runs += 1
  const name = `potluck-${process.pid}-${runs}`
  const path = join(parent, name)
  await rm(path, { recursive: true, force: true })
  await mkdir(path, { recursive: true, mode: 0o700 })
  return { name, path }
}

/** Of runs whose process was killed before it could: it died, and so did its children with it. */
async function removeDeadFolders(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    const pid = /^potluck-(\d+)-\d+$/.exec(name)?.[1]
    if (!pid || existsSync(`/proc/${pid}`)) continue
    await rm(join(parent, name), { recursive: true, force: true }).catch(() => {}) // still mounted
  }
}

/** All files, folders not counted, under `path`; none when it does not exist. */
export async function filesUnder(path: string): Promise<string[]> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true }).catch(() => [])
  return entries.filter((entry) => !entry.isDirectory()).map((e) => join(e.parentPath, e.name))
}
