/**
 * Looks for texts in the files of a run that lie on its disk: what may be in memory only is on a
 * tmpfs, which is another device and so left out, wherever it is mounted. Left out too are container
 * file systems, which hold the image, and chunks, which are encrypted and have tests of their own.
 */
import { createReadStream } from 'node:fs'
import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'

const leftOut = new Set(['overlay2', 'chunks'])

/** Files under `folder`, on its device, that hold one of `secrets`. */
export async function filesWithSecrets(
  folder: string,
  secrets: readonly string[],
): Promise<readonly string[]> {
  const { dev } = await lstat(folder)
  const needles = secrets.map((secret) => Buffer.from(secret))
  const found: string[] = []
  for await (const file of filesOn(folder, dev)) {
    // Files of running processes come and go.
    if (await holds(file, needles).catch(() => false)) found.push(file)
  }
  return found
}

async function* filesOn(folder: string, dev: number): AsyncGenerator<string> {
  for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => [])) {
    const path = join(folder, entry.name)
    if (entry.isFile()) yield path
    if (!entry.isDirectory() || leftOut.has(entry.name)) continue
    const found = await lstat(path).catch(() => undefined)
    if (found?.dev === dev) yield* filesOn(path, dev)
  }
}

async function holds(file: string, needles: readonly Buffer[]): Promise<boolean> {
  const overlap = Math.max(...needles.map(({ length }) => length)) - 1
  let rest = Buffer.alloc(0)
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) {
    const bytes = Buffer.concat([rest, chunk as Buffer])
    if (needles.some((needle) => bytes.includes(needle))) return true
    rest = bytes.subarray(Math.max(0, bytes.length - overlap))
  }
  return false
}
