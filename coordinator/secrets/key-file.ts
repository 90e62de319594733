/**
 * The keys that seal secrets at rest, in a file of their own. It lies outside the database, so that
 * a stolen backup of the database opens nothing; lose the file and every tenant must set env again.
 *
 * One key a line, `<id, 8 hex digits> <key, 64 hex digits>`; `#` begins a comment. The first key
 * seals, all open: to rotate, put a new line on top and restart.
 */
import { randomBytes } from 'node:crypto'
import { chmod, link, mkdir, open, readFile, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { errorCode } from '../../protocol/errors.ts'
import { SecretKeyError } from './errors.ts'

export type SecretKey = Readonly<{ id: string; key: Buffer }>

const lineForm = /^([0-9a-f]{8}) ([0-9a-f]{64})$/

/** The keys of `file`, the sealing one first, or undefined when there is no such file. */
export async function readKeyFile(file: string): Promise<readonly SecretKey[] | undefined> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
    const { mode } = await stat(file)
    // A key that others on this machine can read is no key.
    if ((mode & 0o077) !== 0) await chmod(file, 0o600)
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    throw new SecretKeyError(file, 'cannot be read; check its owner and permissions', error)
  }
  return parseKeys(file, text)
}

function parseKeys(file: string, text: string): readonly SecretKey[] {
  const keys: SecretKey[] = []
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue
    const [, id, key] = lineForm.exec(line.trim()) ?? []
    if (!id || !key) {
      const valid = 'an id of 8 hex digits, a space, a key of 64 hex digits'
      throw new SecretKeyError(file, `line ${index + 1} is not a key (${valid})`)
    }
    if (keys.some((known) => known.id === id)) {
      throw new SecretKeyError(file, `line ${index + 1} has an id that stands above it already`)
    }
    keys.push({ id, key: Buffer.from(key, 'hex') })
  }
  if (keys.length === 0) throw new SecretKeyError(file, 'holds no key; restore it from a backup')
  return keys
}

/** Writes a new key file, mode 0600, durable, whole or not at all; never over another. */
export async function createKeyFile(file: string): Promise<readonly SecretKey[]> {
  const made = { id: randomBytes(4).toString('hex'), key: randomBytes(32) }
  const text = `# Opens the secrets in Potluck's database. Back it up, apart from the database.\n${made.id} ${made.key.toString('hex')}\n`
  await writeNewFile(file, text)
  return [made]
}

/**
 * Creates `file` with `text`, mode 0600, synced; a crash leaves the whole file or none.
 * @throws a system error, EEXIST when there is one already.
 */
export async function writeNewFile(file: string, text: string): Promise<void> {
  const folder = dirname(file)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const partial = `${file}.${randomBytes(6).toString('hex')}.new`
  try {
    const handle = await open(partial, 'wx', 0o600)
    try {
      await handle.writeFile(text)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await link(partial, file) // Unlike rename, refuses to replace.
  } finally {
    await rm(partial, { force: true })
  }
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
