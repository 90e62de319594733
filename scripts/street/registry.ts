/**
 * A real private registry: Debian's docker-registry (distribution 2.8) with Basic auth, a store of
 * its own, and an access log that is the evidence of how often each blob was read.
 */
import { randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Child, type Line, pattern, type Wait } from './child.ts'
import type { Processes } from './processes.ts'
import { runCommand } from './run-command.ts'
import type { RunFolder } from './run-folder.ts'

export type Credentials = Readonly<{ username: string; password: string }>

export type RegistryInit = Readonly<{
  name?: string
  /** Path of a network namespace; this process's own when left out. */
  namespace?: string
  /** Where it listens: an address of the namespace. */
  host?: string
  /** A free one when left out. */
  port?: number
  /** Anyone may push and pull when left out. */
  credentials?: Credentials
}>

export type Access = Readonly<{
  method: string
  path: string
  status: number
  /** Of the body sent. */
  bytes: number
  /** When its line came, in Unix ms; the log itself counts in seconds. */
  at: number
  userAgent: string
  /** Of a blob or manifest named by digest. */
  digest: string | undefined
}>

/** What was read of one blob, by GETs that gave bytes; a resumed read is another GET. */
export type BlobReads = Readonly<{ reads: number; bytes: number }>

export interface Registry {
  /** `http://host:port` */
  readonly url: string
  /** `host:port`, as image references have it. */
  readonly address: string
  /** Of the whole life of the registry, restarts included. */
  accesses(): readonly Access[]
  blobReads(): ReadonlyMap<string, BlobReads>
  /** Kills it as a power cut would. */
  kill(): Promise<void>
  stop(): Promise<void>
  /** At the same address, with what it stored. */
  start(wait?: Wait): Promise<void>
}

export async function startRegistry(
  { name = 'registry', namespace, host = '127.0.0.1', port = 0, credentials }: RegistryInit,
  { processes, run, wait }: { processes: Processes; run: RunFolder; wait?: Wait },
): Promise<Registry> {
  const folder = join(run.path, name)
  await mkdir(folder, { recursive: true })
  const accounts = join(folder, 'htpasswd')
  if (credentials) await writeFile(accounts, await htpasswdLine(credentials), { mode: 0o600 })
  const accesses: Access[] = []
  let child: Child | undefined
  let listening = port

  const start = async (options?: Wait): Promise<void> => {
    const config = join(folder, 'config.json') // JSON is YAML
    const settings = registryConfig(folder, `${host}:${listening}`, credentials && accounts)
    await writeFile(config, JSON.stringify(settings), { mode: 0o600 })
    child = processes.start({
      name,
      command: ['docker-registry', 'serve', config],
      ...(namespace ? { namespace } : {}),
    })
    child.onLine((line) => {
      const access = parseAccess(line)
      if (access) accesses.push(access)
    })
    const [, found] = await child.waitFor(pattern(/listening on .*?:(\d+)"/), options)
    listening = Number(found)
  }
  await start(wait)
  return {
    url: `http://${host}:${listening}`,
    address: `${host}:${listening}`,
    accesses: () => accesses,
    blobReads: () => countReads(accesses),
    start,
    async stop() {
      await child?.stop({ graceMs: 2_000 })
    },
    async kill() {
      child?.kill('SIGKILL')
      await child?.exited
    },
  }
}

function registryConfig(folder: string, addr: string, htpasswd: string | undefined): object {
  return {
    version: '0.1',
    log: { level: 'info', formatter: 'text', accesslog: { disabled: false } },
    storage: {
      filesystem: { rootdirectory: join(folder, 'store') },
      delete: { enabled: true },
      redirect: { disable: true },
    },
    http: { addr, secret: randomBytes(16).toString('hex'), draintimeout: '1s' },
    ...(htpasswd ? { auth: { htpasswd: { realm: 'potluck', path: htpasswd } } } : {}),
  }
}

/**
 * The registry takes bcrypt alone, which Node lacks and every Debian's perl has from libcrypt. Cost
 * 4: each request is checked anew, and this guards nothing but a test.
 */
async function htpasswdLine({ username, password }: Credentials): Promise<string> {
  const salt = randomBytes(32).toString('base64').replaceAll(/[+=]/g, '.').slice(0, 21)
  const program = 'local $/; print crypt(<STDIN>, "\\$2y\\$04\\$$ARGV[0]u")'
  const hash = await runCommand(['perl', '-e', program, salt], { input: password })
  return `${username}:${hash}\n`
}

// 127.0.0.1 - - [23/Nov/2025:15:00:00 +0000] "GET /v2/x/blobs/sha256:… HTTP/1.1" 200 12 "" "agent"
const accessLine =
  /^\S+ - \S+ \[[^\]]+\] "([A-Z]+) (\S+) HTTP[^"]*" (\d+) (\d+|-) "[^"]*" "([^"]*)"/

function parseAccess({ text }: Line): Access | undefined {
  const [, method, path, status, bytes, userAgent] = accessLine.exec(text) ?? []
  if (!method || !path) return undefined
  return {
    method,
    path,
    status: Number(status),
    bytes: Number(bytes) || 0,
    at: Date.now(),
    userAgent: userAgent ?? '',
    digest: /\/(?:blobs|manifests)\/(sha256:[0-9a-f]{64})/.exec(path)?.[1],
  }
}

function countReads(accesses: readonly Access[]): ReadonlyMap<string, BlobReads> {
  const counts = new Map<string, BlobReads>()
  for (const { method, path, status, bytes, digest } of accesses) {
    if (method !== 'GET' || !digest || !path.includes('/blobs/')) continue
    if (status !== 200 && status !== 206) continue
    const before = counts.get(digest) ?? { reads: 0, bytes: 0 }
    counts.set(digest, { reads: before.reads + 1, bytes: before.bytes + bytes })
  }
  return counts
}
