/** The client against Debian's docker-registry, with Basic auth, where it is installed. */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect } from 'chai'
import { request } from 'undici'
import { systemClock } from '../../protocol/clock.ts'
import { errorCode } from '../../protocol/errors.ts'
import { digestOf } from './digest.ts'
import { buildImage, type TestImage } from './fake-registry.ts'
import { failure, imageSourceConformance } from './image-source.conformance.ts'
import { createCredentials } from './image-source.ts'
import { createRegistryClient } from './registry-client.ts'

const BINARY = '/usr/bin/docker-registry'
const CREDENTIALS = createCredentials('tenant', 'swordfish-canary')
/** bcrypt of that password, as `htpasswd -B` writes it. */
const HTPASSWD = 'tenant:$2y$05$WuGl4sdiUuQJDdEOGkHsK.NUG9.k7vMKB.MtvLearWJf1LTT952Nm\n'

type Registry = Readonly<{ host: string; stop(): Promise<void> }>

async function startRegistry(): Promise<Registry> {
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
  const child = spawn(BINARY, ['serve', join(folder, 'config.yml')], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const host = await listeningAt(child)
  return {
    host,
    async stop() {
      const exited = once(child, 'exit')
      child.kill('SIGKILL')
      await exited
      await rm(folder, { recursive: true })
    },
  }
}

async function listeningAt(child: ChildProcess): Promise<string> {
  for await (const line of createInterface({ input: child.stderr! })) {
    const host = /listening on (127\.0\.0\.1:\d+)/.exec(line)?.[1]
    if (!host) continue
    child.stderr!.resume()
    return host
  }
  throw new Error('the registry ended before it listened')
}

/** As `docker push` does it: each blob in one upload, then the manifest. */
async function push(host: string, path: string, tag: string, image: TestImage): Promise<void> {
  const { username, password } = CREDENTIALS
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
  expect(answer.statusCode, await answer.body.text()).to.equal(201)
}

function client() {
  const init = { allow: ['127.0.0.0/8'], insecureRegistries: ['127.0.0.0/8'], retriesMax: 0 }
  return createRegistryClient(init, { clock: systemClock })
}

if (existsSync(BINARY)) {
  let registry: Registry
  imageSourceConformance('registry client, on docker-registry with Basic auth', {
    open: async () => {
      registry = await startRegistry()
      await push(registry.host, 'acme/app', 'v1', buildImage([randomBytes(2_000_000)]))
      return {
        source: client(),
        reference: `${registry.host}/acme/app:v1`,
        credentials: CREDENTIALS,
      }
    },
    close: () => registry.stop(),
  })

  describe('registry client on docker-registry', () => {
    const { signal } = new AbortController()
    before(async () => {
      registry = await startRegistry()
    })
    after(() => registry.stop())

    it('gets its own errors from it', async () => {
      await push(registry.host, 'acme/docker', 'v1', buildImage([randomBytes(9)], { docker: true }))
      const source = client()
      const code = async (tag: string, credentials = CREDENTIALS) =>
        errorCode(
          await failure(source.resolve(`${registry.host}/acme/${tag}`, credentials, { signal })),
        )
      expect(await code('docker:v2')).to.equal('IMAGE_NOT_FOUND')
      expect(await code('nothing')).to.equal('IMAGE_NOT_FOUND')
      expect(await code('docker:v1', createCredentials('tenant', 'no'))).to.equal('UNAUTHORIZED')
      const image = await source.resolve(`${registry.host}/acme/docker:v1`, CREDENTIALS, { signal })
      expect(image.layers).to.have.length(1)
      await source.close()
    })
  })
} else {
  describe('registry client on docker-registry', () => {
    it(`skipped: ${BINARY} is not installed (apt-get install docker-registry)`)
  })
}
