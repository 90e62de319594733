/**
 * The mounts below an engine of the node's own. Two traps, both met here: tmpfs may be swapped out
 * to a disk unless it is mounted `noswap`; and dockerd binds its data-root over itself when that is
 * not a shared mount, which hides tmpfs folders mounted inside it before, so that Env goes to the
 * disk after all. So the data-root is made a shared mount first.
 */
import { execFile } from 'node:child_process'
import { mkdir, readFile, statfs } from 'node:fs/promises'
import { promisify } from 'node:util'
import { EngineError } from '../errors.ts'
import type { ManagedPaths } from './paths.ts'

const run = promisify(execFile)
const tmpfsMagic = 0x01021994
const mountTimeoutMs = 10_000

/** Mount points at or below `path`, deepest and newest first: in the order to unmount them. */
export function mountsUnder(mountinfo: string, path: string): readonly string[] {
  return mountinfo
    .split('\n')
    .map((line) => unescapeMount(line.split(' ')[4] ?? ''))
    .filter((at) => at === path || at.startsWith(`${path}/`))
    .reverse()
}

/** mountinfo writes blanks and the like as octal. */
function unescapeMount(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8)))
}

async function mount(...args: readonly string[]): Promise<void> {
  await run('mount', [...args], { timeout: mountTimeoutMs })
}

/** Whether both folders that receive Env still lie on the tmpfs of an earlier start. */
export async function isMounted(paths: ManagedPaths): Promise<boolean> {
  const folders = paths.bound.map(([, to]) => to)
  return (await Promise.all(folders.map(isTmpfs))).every(Boolean) && isTmpfs(paths.runDir)
}

async function isTmpfs(path: string): Promise<boolean> {
  try {
    return (await statfs(path)).type === tmpfsMagic
  } catch {
    return false
  }
}

/** @throws {EngineError} a mount is refused: not root, or no tmpfs. */
export async function mountAll(paths: ManagedPaths, tmpfsBytes: number): Promise<void> {
  try {
    await mkdir(paths.runDir, { recursive: true, mode: 0o700 })
    await mkdir(paths.dataRoot, { recursive: true, mode: 0o710 })
    await mountTmpfs(paths.runDir, tmpfsBytes)
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

async function mountTmpfs(at: string, sizeBytes: number): Promise<void> {
  const options = `size=${sizeBytes},mode=0700,nosuid,nodev`
  try {
    await mount('-t', 'tmpfs', '-o', `${options},noswap`, 'potluck', at)
  } catch {
    // Linux before 6.4 does not know noswap: there the chef's swap may see Env.
    await mount('-t', 'tmpfs', '-o', options, 'potluck', at)
  }
}

/** Unmounts whatever lies at or below the engine's folders. Idempotent. */
export async function unmountAll(paths: ManagedPaths): Promise<void> {
  for (const root of [paths.dataRoot, paths.runDir]) {
    for (const at of mountsUnder(await readFile('/proc/self/mountinfo', 'utf8'), root)) {
      // Lazily: a container's process may hold it a moment longer, and nobody looks in any more.
      await run('umount', ['--lazy', at], { timeout: mountTimeoutMs }).catch(() => {})
    }
  }
}
