/**
 * Where one-time keys, the guard's file and engine sockets lie: in memory, because a private half
 * that reaches a disk may outlive what it opened. It survives kill -9, not a reboot.
 */
import { execFile } from 'node:child_process'
import { mkdir, readFile, rm, rmdir, statfs } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import type { PeerId } from '../ids.ts'
import type { Logger } from '../log/index.ts'

export type User = Readonly<{ platform: string; uid: number | undefined }>

const sharedRunDir = '/run/potluck'
const tmpfsMagic = 0x01021994
const mountMs = 10_000
/** Keys and a few small files. */
const sizeBytes = 16 << 20
/** What tells our mount from another's in mountinfo. */
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
  if ((await statfs(runDir)).type === tmpfsMagic) return
  try {
    if (user.platform !== 'linux' || user.uid !== 0) throw new Error('only root can mount a tmpfs')
    await mountTmpfs(runDir)
  } catch (error) {
    logger.warn({ runDir, error }, 'one-time keys lie on a disk: there is no tmpfs for them')
  }
}

async function mountTmpfs(at: string): Promise<void> {
  const options = `size=${sizeBytes},mode=0700,nosuid,nodev,noexec`
  const mount = (more: string) =>
    promisify(execFile)('mount', ['-t', 'tmpfs', '-o', options + more, source, at], {
      timeout: mountMs,
    })
  await mount(',noswap').catch(() => mount('')) // noswap: since Linux 6.4
}

/**
 * Removes the folder and the tmpfs that {@link prepareRunDir} mounted: a peer that stopped in good
 * order leaves nothing. Left alone while something is still mounted below it.
 */
export async function removeRunDir(runDir: string): Promise<void> {
  const mounts = parseMounts(await readFile('/proc/self/mountinfo', 'utf8').catch(() => ''))
  if (mounts.some(({ at }) => at.startsWith(`${runDir}/`))) return
  if (mounts.some((mount) => mount.at === runDir && mount.source === source)) {
    await promisify(execFile)('umount', ['--lazy', runDir], { timeout: mountMs })
  }
  await rm(runDir, { recursive: true, force: true })
  if (dirname(runDir) === sharedRunDir) await rmdir(sharedRunDir).catch(() => undefined)
}

/** Source: proc(5), /proc/pid/mountinfo: the fifth field, and the second after the dash. */
function parseMounts(mountinfo: string): readonly { at: string; source: string }[] {
  return mountinfo.split('\n').flatMap((line) => {
    const [before = '', after = ''] = line.split(' - ', 2)
    const at = before.split(' ')[4]
    if (at === undefined) return []
    const readable = at.replace(/\\([0-7]{3})/g, (_, octal: string) =>
      String.fromCharCode(Number.parseInt(octal, 8)),
    )
    return [{ at: readable, source: after.split(' ')[1] ?? '' }]
  })
}
