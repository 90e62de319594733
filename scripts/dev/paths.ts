/** Where the processes of a run keep what; the sweep finds an engine by the same rule. */
import { join } from 'node:path'
import type { Run } from './run.ts'

/** Data on the disk, and the folder over which a node's engine mounts its tmpfs. */
export function engineFolders(run: Run, node: string) {
  return { dataDir: join(run.path, node), runDir: join(run.path, node, 'run') }
}

export function isNodeFolder(name: string): boolean {
  return /^node-\d+$/.test(name)
}
