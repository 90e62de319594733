/**
 * Where one-time keys lie: on tmpfs where there is one for this user, because a private half that
 * reaches a disk may outlive what it opened.
 */
import { rmdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { PeerId } from '../ids.ts'

const sharedRunDir = '/run/potluck'

/**
 * `/run/potluck/<peer>` for root on Linux (a peer's own, since several may run on one machine),
 * else a folder below the peer's data.
 * @param user `process.platform` and `process.getuid?.()`
 */
export function defaultRunDir(
  { peer, dataDir }: { readonly peer: PeerId; readonly dataDir: string },
  user: { readonly platform: string; readonly uid: number | undefined },
): string {
  const hasRun = user.platform === 'linux' && user.uid === 0
  return hasRun ? join(sharedRunDir, peer) : join(dataDir, 'run')
}

/** Where the keys lie below a run folder. */
export function keysDirOf(runDir: string): string {
  return join(runDir, 'keys')
}

/** Removes what {@link defaultRunDir} made, as far as it is empty: a stopped peer leaves nothing. */
export async function removeEmptyRunDir(runDir: string): Promise<void> {
  const parent = dirname(runDir)
  const folders = [keysDirOf(runDir), runDir, ...(parent === sharedRunDir ? [parent] : [])]
  for (const folder of folders) await rmdir(folder).catch(() => undefined)
}
