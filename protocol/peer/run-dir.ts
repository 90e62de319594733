/**
 * Where one-time keys, the guard's file and engine sockets lie: in memory, because a private half
 * that reaches a disk may outlive what it opened. It survives kill -9, not a reboot.
 */
import { mkdir, rm, rmdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { PeerId } from '../ids.ts'
import type { Logger } from '../log/index.ts'
import { isTmpfs, mountPointsUnder, mountTmpfs, readMounts, unmount } from '../mounts/index.ts'

export type User = Readonly<{ platform: string; uid: number | undefined }>

const sharedRunDir = '/run/potluck'
/** Keys and a few small files. */
const sizeBytes = 16 << 20
/** What tells our mount from another's in the mount table. */
const source = 'potluck-run'

/**
 * `/run/potluck/<peer>` for root on Linux (a peer's own, since several may run on one machine),
 * else a folder below the peer's data.
 * @param user `process.platform` and `process.getuid?.()`
 */
export function defaultRunDir(
  { peer, dataDir }: { readonly peer: PeerId; readonly dataDir: string },
  user: User,
): string {
  const hasRun = user.platform === 'linux' && user.uid === 0
  return hasRun ? join(sharedRunDir, peer) : join(dataDir, 'run')
}

/** Where the keys lie below a run folder. */
export function keysDirOf(runDir: string): string {
  return join(runDir, 'keys')
}

/**
 * Makes the folder, in memory if at all possible: root mounts a small tmpfs where there is none.
 * Idempotent, also after kill -9. Elsewhere a warning says what it means.
 */
export async function prepareRunDir(
  runDir: string,
  { user, logger }: { readonly user: User; readonly logger: Logger },
): Promise<void> {
  await mkdir(runDir, { recursive: true, mode: 0o700 })
  if (await isTmpfs(runDir)) return
  try {
    if (user.platform !== 'linux' || user.uid !== 0) throw new Error('only root can mount a tmpfs')
    await mountTmpfs({ at: runDir, sizeBytes, source, options: ['noexec'] })
  } catch (error) {
    logger.warn({ runDir, error }, 'one-time keys lie on a disk: there is no tmpfs for them')
  }
}

/**
 * Removes the folder and the tmpfs that {@link prepareRunDir} mounted: a peer that stopped in good
 * order leaves nothing. Left alone while something is still mounted below it.
 */
export async function removeRunDir(runDir: string): Promise<void> {
  const mounts = await readMounts()
  if (mountPointsUnder(mounts, runDir).some((at) => at !== runDir)) return
  if (mounts.some((mount) => mount.at === runDir && mount.source === source)) {
    await unmount(runDir)
  }
  await rm(runDir, { recursive: true, force: true })
  if (dirname(runDir) === sharedRunDir) await rmdir(sharedRunDir).catch(() => undefined)
}
