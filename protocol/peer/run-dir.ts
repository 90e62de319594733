/**
 * Where one-time keys lie: on tmpfs where there is one for this user, because a private half that
 * reaches a disk may outlive what it opened.
 */
import { join } from 'node:path'
import type { PeerId } from '../ids.ts'

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
  return hasRun ? join('/run/potluck', peer) : join(dataDir, 'run')
}
