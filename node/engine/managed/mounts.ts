/**
 * The mounts below an engine of the node's own. Two traps, both met here: tmpfs may be swapped out
 * to a disk unless it is mounted `noswap`; and dockerd binds its data-root over itself when that is
 * not a shared mount, which hides tmpfs folders mounted inside it before, so that Env goes to the
 * disk after all. So the data-root is made a shared mount first.
 */
import { mkdir } from 'node:fs/promises'
import { isTmpfs, mount, mountTmpfs, unmountUnder } from '../../../protocol/mounts/index.ts'
import { EngineError } from '../errors.ts'
import type { ManagedPaths } from './paths.ts'

/** Whether both folders that receive Env still lie on the tmpfs of an earlier start. */
export async function isMounted(paths: ManagedPaths): Promise<boolean> {
  const folders = paths.bound.map(([, to]) => to)
  return (await Promise.all(folders.map(isTmpfs))).every(Boolean) && isTmpfs(paths.runDir)
}

/** @throws {EngineError} a mount is refused: not root, or no tmpfs. */
export async function mountAll(paths: ManagedPaths, tmpfsBytes: number): Promise<void> {
  try {
    await mkdir(paths.runDir, { recursive: true, mode: 0o700 })
    await mkdir(paths.dataRoot, { recursive: true, mode: 0o710 })
    await mountTmpfs({ at: paths.runDir, sizeBytes: tmpfsBytes, source: 'potluck' })
    await mount('--bind', paths.dataRoot, paths.dataRoot)
    await mount('--make-shared', paths.dataRoot)
    for (const [from, to] of paths.bound) {
      await mkdir(from, { recursive: true, mode: 0o700 })
      await mkdir(to, { recursive: true, mode: 0o710 })
      await mount('--bind', from, to)
    }
  } catch (cause) {
    await unmountAll(paths)
    const message = `cannot mount the engine's folders at ${paths.runDir}; run the node as root`
    throw new EngineError('ENGINE_START_FAILED', message, { cause })
  }
}

/** Unmounts whatever lies at or below the engine's folders. Idempotent. */
export async function unmountAll(paths: ManagedPaths): Promise<void> {
  for (const root of [paths.dataRoot, paths.runDir]) await unmountUnder(root)
}
