/**
 * What this machine has of what a street needs, so that who cannot run says in one line why, and
 * which package would help, instead of failing halfway.
 */
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

export type Machine = Readonly<{
  platform: string
  uid: number | undefined
  /** As the environment's PATH. */
  path: string
}>

export function thisMachine(env: Readonly<Record<string, string | undefined>>): Machine {
  return { platform: process.platform, uid: process.getuid?.(), path: env.PATH ?? '' }
}

/** The first file of this name in `path` that may be run. */
export function findProgram(name: string, path: string): string | undefined {
  return path
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK)
        return true
      } catch {
        return false
      }
    })
}

/**
 * The programs that are not in `path`, and how to get them; undefined when all are there.
 * @param packages Program → Debian package.
 */
export function missingPrograms(
  packages: Readonly<Record<string, string>>,
  path: string,
): string | undefined {
  const absent = Object.entries(packages).filter(([name]) => !findProgram(name, path))
  if (absent.length === 0) return undefined
  const names = absent.map(([name]) => name).join(', ')
  const wanted = [...new Set(absent.map(([, name]) => name))].join(' ')
  return `${names} (Debian: apt-get install --no-install-recommends ${wanted})`
}
