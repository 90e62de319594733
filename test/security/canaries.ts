/**
 * Texts that exist nowhere else, planted where secrets go, and the search for them in every form in
 * which a secret may be written by mistake: as it is, in hex, in base64 at any alignment.
 */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rmdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import type { Find, SearchInit } from './search-files.ts'

/** What a canary stands for: `env`, `password`, `layer`. */
export type Sighting = Readonly<{ canary: string; path: string }>

export type Place = Readonly<{
  folders: readonly string[]
  leftOut?: readonly string[]
  sinceMs?: number
  /** At the disk itself, below whatever is mounted over it. */
  onDisk?: boolean
}>

export interface Canaries {
  /** A new text, lower-case letters, digits and hyphens, that stands for `name`. */
  make(name: string): string
  /** Something secret that others made: a key, a digest. */
  add(name: string, value: string | Uint8Array): void
  names(): readonly string[]
  /** Where canaries lie in files. */
  inFiles(place: Place): Promise<readonly Sighting[]>
  /** Which canaries lie in a text. */
  inText(where: string, content: string | Uint8Array): readonly Sighting[]
}

const program = fileURLToPath(new URL('search-files.ts', import.meta.url))
/** Of a private copy of the mount table: what `/` itself holds, without what is mounted on it. */
const belowMounts = 'mount --bind / "$1" && shift && exec "$@"'

export function createCanaries(): Canaries {
  const needles: { name: string; bytes: Buffer }[] = []
  const add = (name: string, value: string | Uint8Array): void => {
    for (const bytes of formsOf(Buffer.from(value))) needles.push({ name, bytes })
  }
  const search = async (init: Omit<SearchInit, 'needles'>, command: readonly string[]) => {
    const [file = '', ...args] = [...command, process.execPath, program]
    const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'] })
    const wanted = needles.map(({ bytes }) => bytes.toString('base64'))
    child.stdin.end(JSON.stringify({ ...init, needles: wanted } satisfies SearchInit))
    const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'close')])
    if (code !== 0) throw new Error(`the search for canaries ended with ${code}`)
    const finds = output.split('\n').filter(Boolean)
    return finds.map((line) => JSON.parse(line) as Find)
  }
  const sightings = (finds: readonly Find[], prefix = ''): Sighting[] => {
    const seen = finds.map(({ path, needle }) => {
      return { canary: needles[needle]?.name ?? '', path: path.slice(prefix.length) }
    })
    const unique = new Map(seen.map((it) => [`${it.canary} ${it.path}`, it]))
    return [...unique.values()]
  }
  return {
    make(name) {
      const value = `canary-${name}-${randomBytes(12).toString('hex')}`
      add(name, value)
      return value
    },
    add,
    names: () => [...new Set(needles.map(({ name }) => name))],
    async inFiles({ folders, leftOut = [], onDisk = false, ...more }) {
      if (!onDisk) return sightings(await search({ roots: folders, leftOut, ...more }, []))
      const below = await mkdtemp(join(tmpdir(), 'potluck-below-'))
      try {
        const at = (path: string): string => `${below}${path}`
        const init = { roots: folders.map(at), leftOut: leftOut.map(at), ...more }
        const command = ['unshare', '-m', 'sh', '-ec', belowMounts, 'sh', below]
        return sightings(await search(init, command), below)
      } finally {
        await rmdir(below)
      }
    },
    inText(where, content) {
      const bytes = Buffer.from(content)
      const found = needles.filter((needle) => bytes.includes(needle.bytes))
      return [...new Set(found.map(({ name }) => name))].map((canary) => ({ canary, path: where }))
    },
  }
}

function formsOf(bytes: Buffer): Buffer[] {
  const hex = bytes.toString('hex')
  const forms = [hex, hex.toUpperCase(), ...base64Forms(bytes)]
  return [bytes, ...forms.map((form) => Buffer.from(form))]
}

/** Base64 of `bytes` in the middle of something, for each alignment: what does not depend on it. */
export function base64Forms(bytes: Uint8Array): string[] {
  return [0, 1, 2].flatMap((before) => {
    const padded = Buffer.concat([Buffer.alloc(before), bytes])
    const first = Math.ceil((before * 8) / 6)
    const last = Math.floor((padded.length * 8) / 6)
    const inner = padded.toString('base64').slice(first, last)
    const url = padded.toString('base64url').slice(first, last)
    return inner === url ? [inner] : [inner, url]
  })
}
