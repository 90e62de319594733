/**
 * Whether package-lock.json names every platform's build of packages that have one a platform
 * (`@biomejs/cli-darwin-arm64` …). npm leaves out those that the registry at hand did not offer, and
 * `npm ci` then fails, everywhere: "Missing: … from lock file". With `--fix` they are added, without
 * a checksum, which npm fills in where it installs them.
 *
 *     node scripts/check/lock.ts [--fix]
 */
import { readFile, writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

export type LockedPackage = {
  version?: string
  cpu?: string[]
  os?: string[]
  libc?: string[]
  dev?: boolean
  optional?: boolean
  optionalDependencies?: Record<string, string>
}
export type Lock = { packages: Record<string, LockedPackage> }

const systems = /[-/](android|darwin|freebsd|linux|openharmony|win32)(-|$)/
const processors = /[-/](arm64|x64|ia32|arm|ppc64|riscv64|s390x)(-|$)/

/** Paths and entries that `lock` lacks; none when it is complete. */
export function missingPlatforms({ packages }: Lock): Record<string, LockedPackage> {
  const missing: Record<string, LockedPackage> = {}
  for (const [path, { dev, optionalDependencies = {} }] of Object.entries(packages)) {
    for (const [name, version] of Object.entries(optionalDependencies)) {
      const os = systems.exec(name)?.[1]
      const cpu = processors.exec(name)?.[1]
      if (!os || !cpu || !/^\d/.test(version) || isLocked(packages, path, name)) continue
      missing[`node_modules/${name}`] = {
        version,
        cpu: [cpu],
        ...(dev ? { dev } : {}),
        ...libcOf(name),
        optional: true,
        os: [os],
      }
    }
  }
  return missing
}

function libcOf(name: string): { libc?: string[] } {
  if (/-(musl|musleabihf)$/.test(name)) return { libc: ['musl'] }
  return /-(gnu|gnueabihf)$/.test(name) ? { libc: ['glibc'] } : {}
}

/** Node's resolution: in the package's own node_modules, or in any above it. */
function isLocked(packages: Lock['packages'], from: string, name: string): boolean {
  const levels = from.split('/node_modules/')
  return [
    'node_modules',
    ...levels.map((_, end) => levels.slice(0, end + 1).join('/node_modules/')),
  ].some(
    (level) =>
      packages[level === 'node_modules' ? `node_modules/${name}` : `${level}/node_modules/${name}`],
  )
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const file = resolve(import.meta.dirname, '../../package-lock.json')
  const lock = JSON.parse(await readFile(file, 'utf8')) as Lock
  const missing = missingPlatforms(lock)
  const count = Object.keys(missing).length
  if (count > 0 && process.argv.includes('--fix')) {
    const all = Object.entries({ ...lock.packages, ...missing })
    lock.packages = Object.fromEntries(all.sort(([a], [b]) => a.localeCompare(b, 'en')))
    await writeFile(file, `${JSON.stringify(lock, null, 2)}\n`)
    console.log(`${count} packages of other platforms added to package-lock.json`)
  } else if (count > 0) {
    console.error(Object.keys(missing).join('\n'))
    console.error('missing in package-lock.json: node scripts/check/lock.ts --fix')
    process.exitCode = 1
  }
}
