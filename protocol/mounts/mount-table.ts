/**
 * What is mounted where on this machine, read in one way: who removes a folder must know what is
 * mounted below it, or it removes what others have there.
 */
import { readFile, statfs } from 'node:fs/promises'

/** A line of mountinfo. */
export type Mount = Readonly<{
  /** The mount point. */
  at: string
  /** What the mount was made from, or the name that it was given. */
  source: string
  /** Of the file system, as `prjquota`. */
  options: readonly string[]
}>

/** From linux/magic.h; what statfs(2) calls the type of a tmpfs. */
const tmpfsMagic = 0x01021994

/**
 * The mounts in the text of a mountinfo file, oldest first.
 * Source: proc(5), /proc/pid/mountinfo: the fifth field; after the dash the second and the third.
 */
export function parseMounts(mountinfo: string): readonly Mount[] {
  return mountinfo.split('\n').flatMap((line) => {
    const [before = '', after = ''] = line.split(' - ', 2)
    const at = before.split(' ')[4]
    if (at === undefined) return []
    const [, source = '', options = ''] = after.split(' ')
    return [{ at: unescapeOctal(at), source, options: options.split(',') }]
  })
}

/** mountinfo writes blanks and the like as octal. */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  )
}

/** The mounts that this process sees, oldest first; none on a system without /proc. */
export async function readMounts(): Promise<readonly Mount[]> {
  try {
    return parseMounts(await readFile('/proc/self/mountinfo', 'utf8'))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

/** Mount points at or below `path`, newest and so deepest first: in the order to unmount them. */
export function mountPointsUnder(mounts: readonly Mount[], path: string): readonly string[] {
  return mounts
    .map(({ at }) => at)
    .filter((at) => at === path || at.startsWith(`${path}/`))
    .toReversed()
}

/** The mount that holds `path`: the deepest, and of several at one point the newest. */
export function mountOf(mounts: readonly Mount[], path: string): Mount | undefined {
  return mounts
    .filter(({ at }) => at === '/' || path === at || path.startsWith(`${at}/`))
    .sort((a, b) => a.at.length - b.at.length)
    .at(-1)
}

/** Whether the folder is there, and in memory. */
export async function isTmpfs(path: string): Promise<boolean> {
  return await statfs(path).then(
    ({ type }) => type === tmpfsMagic,
    () => false,
  )
}
