/** Where the processes of a run keep what; the sweep finds an engine by the same rule. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Run } from './run.ts'

/** Data on the disk, and the folder over which a node's engine mounts its tmpfs. */
export function engineFolders(run: Run, node: string) {
  return { dataDir: join(run.path, node), runDir: join(run.path, node, 'run') }
}

export function isNodeFolder(name: string): boolean {
  return /^node-\d+$/.test(name)
}

/** Compiled code outlives a run, in the clone's own folder: the next start takes a third less. */
export const compileCache = fileURLToPath(new URL('../../.potluck/compile-cache', import.meta.url))
