/** Debian's docker-registry with Basic auth, on loopback, for tests; where it is installed. */
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { request } from 'undici'
import { digestOf } from './digest.ts'
import type { TestImage } from './fake-registry.ts'
import { createCredentials } from './image-source.ts'

export const dockerRegistryBinary = '/usr/bin/docker-registry'
/** What it asks for. */
export const registryCredentials = createCredentials('tenant', 'swordfish-canary')
/** bcrypt of that password, as `htpasswd -B` writes it. */
const HTPASSWD = 'tenant:$2y$05$WuGl4sdiUuQJDdEOGkHsK.NUG9.k7vMKB.MtvLearWJf1LTT952Nm\n'

export const hasDockerRegistry = existsSync(dockerRegistryBinary)

export type DockerRegistry = Readonly<{
  host: string
  /** Paths of blobs that its access log says were sent. Logs come behind answers: `flushLog` first. */
  blobReads: readonly string[]
  /** Resolves when the log has come as far as now. */
  flushLog(): Promise<void>
  push(path: string, tag: string, image: TestImage): Promise<void>
  stop(): Promise<void>
}>

/** Starts one on a free loopback port. */
export async function startDockerRegistry(): Promise<DockerRegistry> {
  const folder = await mkdtemp(join(tmpdir(), 'potluck-registry-'))
  await writeFile(join(folder, 'htpasswd'), HTPASSWD)
  const config = {
    version: 0.1,
    log: { level: 'info' },
    storage: { filesystem: { rootdirectory: join(folder, 'data') } },
    http: { addr: '127.0.0.1:0' },
    auth: { htpasswd: { realm: 'test', path: join(folder, 'htpasswd') } },
  }
  await writeFile(join(folder, 'config.yml'), JSON.stringify(config)) // JSON is YAML
  const child = spawn(dockerRegistryBinary, ['serve', join(folder, 'config.yml')], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const blobReads: string[] = []
  const lines = createInterface({ input: child.stdout }).on('line', (line) => {
    const read = /"GET (\/v2\/\S+\/blobs\/\S+) HTTP\/[\d.]+" 20[06] /.exec(line)?.[1]
    if (read) blobReads.push(read)
  })
  const host = await listeningAt(child)
  return {
    host,
    blobReads,
    async flushLog() {
      const mark = randomUUID()
      const seen = new Promise<void>((resolve) => {
        lines.on('line', (line) => line.includes(mark) && resolve())
      })
      await (await request(`http://${host}/v2/${mark}/tags/list`)).body.dump()
      await seen
    },
    push: (path, tag, image) => push(host, path, tag, image),
    async stop() {
      const exited = once(child, 'exit')
      child.kill('SIGKILL')
      await exited
      await rm(folder, { recursive: true })
    },
  }
}

async function listeningAt({ stderr }: { readonly stderr: Readable }): Promise<string> {
  for await (const line of createInterface({ input: stderr })) {
    const host = /listening on (127\.0\.0\.1:\d+)/.exec(line)?.[1]
    if (!host) continue
    stderr.resume()
    return host
  }
  throw new Error('the registry ended before it listened')
}

/** As `docker push` does it: each blob in one upload, then the manifest. */
async function push(host: string, path: string, tag: string, image: TestImage): Promise<void> {
  const { username, password } = registryCredentials
  const authorization = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
  for (const blob of image.blobs) {
    const start = await request(`http://${host}/v2/${path}/blobs/uploads/`, {
      method: 'POST',
      headers: { authorization },
    })
    await start.body.dump()
    const url = new URL(String(start.headers.location), `http://${host}`)
    url.searchParams.set('digest', digestOf(blob))
    await put(url, authorization, 'application/octet-stream', blob)
  }
  const url = new URL(`http://${host}/v2/${path}/manifests/${tag}`)
  await put(url, authorization, image.mediaType, image.manifest)
}

async function put(url: URL, authorization: string, type: string, body: Uint8Array): Promise<void> {
  const headers = { authorization, 'content-type': type }
  const answer = await request(url, { method: 'PUT', headers, body })
  const text = await answer.body.text()
  if (answer.statusCode !== 201)
    throw new Error(`the registry answers ${answer.statusCode}: ${text}`)
}
