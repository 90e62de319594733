/**
 * Looks for needles in every regular file below some folders: a JSON object on stdin, a line of
 * JSON for each find on stdout. A program of its own, so that it can look from another mount
 * namespace, at what lies on the disk beneath a tmpfs.
 */
import { closeSync, type Dirent, lstatSync, openSync, readdirSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'

export type SearchInit = Readonly<{
  roots: readonly string[]
  /** Absolute paths that are not entered. */
  leftOut: readonly string[]
  /** Base64 of what is looked for. */
  needles: readonly string[]
  /** Files last changed before (Unix ms) are passed over. */
  sinceMs?: number
}>
export type Find = Readonly<{ path: string; needle: number }>

const pieceBytes = 4 << 20

if (import.meta.main) {
  const init = (await json(process.stdin)) as SearchInit
  const needles = init.needles.map((text) => Buffer.from(text, 'base64'))
  for (const root of init.roots) {
    for (const path of filesBelow(root, new Set(init.leftOut))) {
      if (init.sinceMs !== undefined && changedMs(path) < init.sinceMs) continue
      for (const needle of findIn(path, needles)) {
        process.stdout.write(`${JSON.stringify({ path, needle } satisfies Find)}\n`)
      }
    }
  }
}

function* filesBelow(folder: string, leftOut: ReadonlySet<string>): Generator<string> {
  let entries: Dirent[]
  try {
    entries = readdirSync(folder, { withFileTypes: true })
  } catch {
    return // gone meanwhile
  }
  for (const entry of entries) {
    const path = join(folder, entry.name)
    if (leftOut.has(path)) continue
    if (entry.isDirectory()) yield* filesBelow(path, leftOut)
    // /proc and the like of a container that runs are the kernel's, and no files.
    else if (entry.isFile() && !/\/merged\/(proc|sys|dev)\//.test(path)) yield path
  }
}

function changedMs(path: string): number {
  try {
    return lstatSync(path).mtimeMs
  } catch {
    return 0
  }
}

/** Numbers of the needles that lie in a file. */
function findIn(path: string, needles: readonly Buffer[]): number[] {
  const overlap = Math.max(...needles.map((needle) => needle.length)) - 1
  const found = new Set<number>()
  let file: number
  try {
    file = openSync(path, 'r')
  } catch {
    return []
  }
  try {
    const piece = Buffer.alloc(pieceBytes + overlap)
    let kept = 0
    for (;;) {
      const read = readSync(file, piece, kept, pieceBytes, null)
      if (read === 0) break
      const here = piece.subarray(0, kept + read)
      needles.forEach((needle, number) => {
        if (!found.has(number) && here.includes(needle)) found.add(number)
      })
      kept = Math.min(overlap, here.length)
      here.copy(piece, 0, here.length - kept)
    }
  } catch {
    // it went away, or cannot be read by anyone: a directory of the kernel's
  } finally {
    closeSync(file)
  }
  return [...found]
}
