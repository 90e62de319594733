/**
 * Mounting and unmounting, for root on Linux. A tmpfs is made so that its pages never reach a swap
 * where the kernel can promise it: what lies in one is there so that no disk ever has it.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { mountPointsUnder, readMounts } from './mount-table.ts'

const run = promisify(execFile)
/** Mounting takes milliseconds; a mount helper that hangs must not hang a start. */
const timeoutMs = 10_000

/** Runs `mount` with these arguments. @throws what it says when it fails. */
export async function mount(...args: readonly string[]): Promise<void> {
  await run('mount', [...args], { timeout: timeoutMs })
}

/** What is mounted by {@link mountTmpfs}. */
export type TmpfsInit = Readonly<{
  at: string
  sizeBytes: number
  /** A name that tells it from others' in the mount table. */
  source: string
  /** Further mount options, as `noexec`. */
  options?: readonly string[]
}>

/** Mounts a tmpfs that only its owner reads. @throws what `mount` says when it fails. */
export async function mountTmpfs(init: TmpfsInit): Promise<void> {
  const { at, sizeBytes, source, options = [] } = init
  const all = [`size=${sizeBytes}`, 'mode=0700', 'nosuid', 'nodev', ...options]
  const as = (list: readonly string[]): Promise<void> =>
    mount('-t', 'tmpfs', '-o', list.join(','), source, at)
  // Linux before 6.4 does not know noswap: there this machine's swap may see what it holds.
  await as([...all, 'noswap']).catch(() => as(all))
}

/**
 * Unmounts lazily: a process may hold it a moment longer, and nobody looks in any more.
 * @throws what `umount` says when it fails.
 */
export async function unmount(at: string): Promise<void> {
  await run('umount', ['--lazy', at], { timeout: timeoutMs })
}

/** Unmounts what lies at `path` or below, as far as it can. Twice is harmless. */
export async function unmountUnder(path: string): Promise<void> {
  for (const at of mountPointsUnder(await readMounts(), path)) {
    await unmount(at).catch(() => undefined) // it went by itself, or who removes the folder says so
  }
}
