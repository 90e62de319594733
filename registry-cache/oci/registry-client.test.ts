/** The client against a registry that misbehaves: each fault becomes one clear error, or none. */
import { randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { inspect } from 'node:util'
import { expect } from 'chai'
import fc from 'fast-check'
import { systemClock } from '../../protocol/clock.ts'
import { describeError, errorCode, PotluckError } from '../../protocol/errors.ts'
import { digestOf } from './digest.ts'
import {
  addImage,
  buildImage,
  descriptor,
  type FakeRegistry,
  json,
  sendBlob,
  startFakeRegistry,
} from './fake-registry.ts'
import { failure, imageSourceConformance, readAll } from './image-source.conformance.ts'
import { type Credentials, createCredentials, type ImageSource } from './image-source.ts'
import { createRegistryClient, type RegistryClientInit } from './registry-client.ts'

const INDEX = 'application/vnd.oci.image.index.v1+json'
const PASSWORD = 'swordfish-canary'
const signal = new AbortController().signal

function makeClient(init: RegistryClientInit = {}): ImageSource {
  const loopback = { allow: ['127.0.0.0/8'], insecureRegistries: ['127.0.0.0/8'] }
  return createRegistryClient(
    { ...loopback, backoffMs: 1, retriesMax: 2, ...init },
    { clock: systemClock, random: () => 0 },
  )
}

let fake: FakeRegistry
imageSourceConformance('registry client, on a fake registry', {
  open: async () => {
    fake = await startFakeRegistry()
    addImage(fake, 'v1', buildImage([randomBytes(700_000), randomBytes(10)]))
    return { source: makeClient(), reference: `${fake.host}/acme/app:v1`, credentials: undefined }
  },
  close: () => fake.close(),
})

describe('registry client', () => {
  const layers = [randomBytes(3_000_000), randomBytes(1000)]
  const image = buildImage(layers)
  const layer = { ...descriptor(layers[0]!, ''), sizeBytes: layers[0]!.length }
  const layerPath = `/v2/acme/app/blobs/${layer.digest}`
  let registry: FakeRegistry
  let other: FakeRegistry
  let clients: ImageSource[]
  const client = (init?: RegistryClientInit): ImageSource => {
    const made = makeClient(init)
    clients.push(made)
    return made
  }
  const resolve = (tag = 'v1', credentials?: Credentials, source = client()) =>
    source.resolve(`${registry.host}/acme/app:${tag}`, credentials, { signal })
  const read = (source: ImageSource, fromByte = 0, credentials?: Credentials) =>
    readAll(source.readBlob(`${registry.host}/acme/app`, layer, credentials, { fromByte, signal }))
  const codeOf = async (promise: Promise<unknown>) => errorCode(await failure(promise))
  const layerReads = () => registry.asked.filter(({ path }) => path === layerPath)

  beforeEach(async () => {
    clients = []
    ;[registry, other] = await Promise.all([startFakeRegistry(), startFakeRegistry()])
    addImage(registry, 'v1', image)
  })
  afterEach(async () => {
    await Promise.all(clients.map((source) => source.close()))
    await Promise.all([registry.close(), other.close()])
  })

  describe('who may pull', () => {
    const basic = `Basic ${Buffer.from(`tenant:${PASSWORD}`).toString('base64')}`
    const credentials = () => createCredentials('tenant', PASSWORD)
    function demandBasic(): void {
      registry.setFault((request, response) => {
        if (request.headers.authorization === basic) return false
        response.writeHead(401, { 'www-authenticate': 'Basic realm="r"' }).end()
        return true
      })
    }
    /** Tokens from the other server, each good for one request unless told otherwise. */
    function demandTokens({ usesMax = Infinity } = {}): { issued: string[] } {
      const issued: string[] = []
      const uses = new Map<string, number>()
      const realm = `http://${other.host}/token`
      other.setFault((_, response) => {
        issued.push(`token-canary-${issued.length}`)
        response.end(JSON.stringify({ token: issued.at(-1), expires_in: 300 }))
        return true
      })
      registry.setFault((request, response) => {
        const token = request.headers.authorization?.replace('Bearer ', '') ?? ''
        const used = uses.get(token) ?? 0
        uses.set(token, used + 1)
        if (issued.includes(token) && used < usesMax) return false
        const challenge = `Bearer realm="${realm}",service="fake",scope="repository:acme/app:pull"`
        response.writeHead(401, { 'www-authenticate': challenge }).end()
        return true
      })
      return { issued }
    }

    it('answers a Basic challenge, then sends what it knows', async () => {
      demandBasic()
      const [source, mine] = [client(), credentials()]
      const found = await resolve('v1', mine, source)
      expect(found.public).to.equal(false)
      await read(source, 0, mine)
      expect(layerReads()).to.have.length(1)
      expect(registry.asked).to.have.length(3)
    })

    it('says which registry refuses, and whether credentials were given', async () => {
      demandBasic()
      const without = await failure(resolve())
      expect(errorCode(without)).to.equal('UNAUTHORIZED')
      expect(describeError(without)).to.contain(registry.host).and.contain('without credentials')
      const wrong = await failure(resolve('v1', createCredentials('tenant', 'wrong-canary')))
      expect(errorCode(wrong)).to.equal('UNAUTHORIZED')
      expect(describeError(wrong)).to.contain('the credentials that were given')
      expect(inspect(wrong, { depth: 9 })).not.to.contain('wrong-canary')
    })

    it('keeps what one tenant showed from the next', async () => {
      demandBasic()
      const source = client()
      await resolve('v1', credentials(), source)
      expect(await codeOf(resolve('v1', undefined, source))).to.equal('UNAUTHORIZED')
      const stranger = createCredentials('tenant', 'guess')
      const proof = source.hasBlob(`${registry.host}/acme/app`, layer.digest, stranger, { signal })
      expect(await codeOf(proof)).to.equal('UNAUTHORIZED')
    })

    it('gets a token, once for a pull, with and without credentials', async () => {
      for (const mine of [undefined, credentials()]) {
        const { issued } = demandTokens()
        const source = client()
        await resolve('v1', mine, source)
        await read(source, 0, mine)
        expect(issued).to.have.length(1)
        const token = other.asked.at(-1)!
        expect(token.authorization).to.equal(mine && basic)
        const query = new URL(token.path, 'http://x').searchParams
        expect(query.get('scope')).to.equal('repository:acme/app:pull')
        expect(query.get('service')).to.equal('fake')
      }
    })

    it('fetches a new token when one has run out, and gives up on a second 401', async () => {
      const { issued } = demandTokens({ usesMax: 1 })
      const source = client()
      await resolve('v1', undefined, source)
      await read(source)
      expect(issued).to.have.length(2)
      demandTokens({ usesMax: 0 })
      expect(await codeOf(resolve('v1', undefined, source))).to.equal('UNAUTHORIZED')
    })

    it('refuses realms without TLS or inside, and realms that refuse', async () => {
      const challenge = (realm: string) =>
        registry.setFault((_, response) => {
          response.writeHead(401, { 'www-authenticate': `Bearer realm="${realm}"` }).end()
          return true
        })
      challenge('http://auth.example/token')
      expect(await codeOf(resolve('v1', credentials()))).to.equal('REGISTRY_ERROR')
      challenge('file:///etc/passwd')
      expect(await codeOf(resolve('v1', credentials()))).to.equal('REGISTRY_ERROR')
      challenge('https://169.254.169.254/token')
      expect(await codeOf(resolve('v1', credentials()))).to.equal('ADDRESS_REFUSED')
      challenge(`http://${other.host}/token`)
      other.setFault((_, response) => Boolean(response.writeHead(403).end()))
      expect(await codeOf(resolve('v1', credentials()))).to.equal('UNAUTHORIZED')
      other.setFault((_, response) => Boolean(response.end('{"token":"a\\nb: c"}')))
      expect(await codeOf(resolve('v1', credentials()))).to.equal('REGISTRY_ERROR')
    })

    it('never takes credentials to another host, nor back from there', async () => {
      demandBasic()
      const inner = (request: IncomingMessage) => request.headers.authorization === basic
      other.blobs.set(layer.digest, layers[0]!)
      registry.setFault((request, response) => {
        if (!inner(request)) response.writeHead(401, { 'www-authenticate': 'Basic' }).end()
        else
          response.writeHead(307, { location: `http://${other.host}${layerPath}?sig=canary` }).end()
        return true
      })
      const bytes = await read(client(), 0, credentials())
      expect(digestOf(bytes)).to.equal(layer.digest)
      expect(other.asked[0]!.authorization).to.equal(undefined)
      const back = `http://${registry.host}/v2/acme/app/blobs/back`
      other.setFault((_, response) => Boolean(response.writeHead(307, { location: back }).end()))
      await failure(read(client(), 0, credentials()))
      const returned = registry.asked.filter(({ path }) => path.endsWith('/back'))
      expect(returned.length).to.be.greaterThan(0)
      for (const { authorization } of returned) expect(authorization).to.equal(undefined)
    })

    it('hides credentials from every usual way of showing a value', () => {
      const mine = credentials()
      for (const text of [
        inspect(mine),
        JSON.stringify({ mine }),
        `${mine}`,
        inspect({ ...mine }),
      ]) {
        expect(text).not.to.contain(PASSWORD)
      }
      expect(mine.password).to.equal(PASSWORD)
    })
  })

  describe('which image', () => {
    const put = (tag: string, bytes: Uint8Array, mediaType: string) =>
      registry.manifests.set(tag, { bytes, mediaType })

    it('picks linux/amd64 from an index, the baseline variant', async () => {
      const arm = buildImage([randomBytes(5)], { architecture: 'arm64' })
      const newer = buildImage([randomBytes(6)])
      for (const each of [arm, newer]) addImage(registry, 'x', each)
      const entry = (of: typeof image, platform: object) => ({
        ...descriptor(of.manifest, of.mediaType),
        platform,
      })
      const manifests = [
        entry(arm, { os: 'linux', architecture: 'arm64', variant: 'v8' }),
        entry(newer, { os: 'linux', architecture: 'amd64', variant: 'v3' }),
        entry(image, { os: 'linux', architecture: 'amd64' }),
        entry(newer, { os: 'unknown', architecture: 'unknown' }),
      ]
      put('many', json({ schemaVersion: 2, mediaType: INDEX, manifests }), INDEX)
      expect((await resolve('many')).manifestDigest).to.equal(digestOf(image.manifest))
      const v3 = client({ platform: { os: 'linux', architecture: 'amd64', variant: 'v3' } })
      const found = await resolve('many', undefined, v3)
      expect(found.manifestDigest).to.equal(digestOf(newer.manifest))
      put('arm', json({ schemaVersion: 2, manifests: manifests.slice(0, 2) }), INDEX)
      const missing = await failure(resolve('arm'))
      expect(errorCode(missing)).to.equal('PLATFORM_NOT_FOUND')
      expect(describeError(missing)).to.contain('it has: linux/arm64/v8, linux/amd64/v3')
    })

    it('reads Docker manifests and lists as well', async () => {
      const docker = buildImage([randomBytes(9)], { docker: true })
      const digest = addImage(registry, 'docker', docker)
      expect((await resolve('docker')).mediaType).to.contain('docker.distribution.manifest.v2')
      const list = 'application/vnd.docker.distribution.manifest.list.v2+json'
      const platform = { os: 'linux', architecture: 'amd64' }
      const manifests = [{ ...descriptor(docker.manifest, docker.mediaType), platform }]
      put('list', json({ schemaVersion: 2, mediaType: list, manifests }), list)
      expect((await resolve('list')).manifestDigest).to.equal(digest)
    })

    it('names what it cannot run', async () => {
      const base = JSON.parse(Buffer.from(image.manifest).toString())
      const changed = (change: object) => json({ ...base, ...change })
      const [first] = base.layers
      const cases: Readonly<Record<string, Uint8Array>> = {
        'schema 1': json({ schemaVersion: 1, fsLayers: [] }),
        'foreign layer': changed({ layers: [{ ...first, urls: ['https://elsewhere.example/'] }] }),
        artifact: changed({
          config: { ...base.config, mediaType: 'application/vnd.oci.empty.v1+json' },
        }),
        'of type': changed({ layers: [{ ...first, mediaType: 'application/encrypted' }] }),
        'an index as well': changed({ manifests: [] }),
        'two sizes': changed({ layers: [first, { ...first, size: 7 }] }),
        malformed: changed({ layers: [{ ...first, digest: 'sha256:1' }] }),
        'has a config of': changed({ config: { ...base.config, size: 5 << 20 } }),
      }
      for (const [words, bytes] of Object.entries(cases)) {
        put('odd', bytes, image.mediaType)
        const error = await failure(resolve('odd'))
        expect(errorCode(error), words).to.equal('MANIFEST_UNSUPPORTED')
        expect(describeError(error)).to.contain(words)
      }
    })

    it('says that an image is not there', async () => {
      expect(await codeOf(resolve('missing'))).to.equal('IMAGE_NOT_FOUND')
    })

    it('notices bytes that are not what the digest says', async () => {
      const digest = digestOf(randomBytes(1))
      put(digest, image.manifest, image.mediaType)
      const reference = `${registry.host}/acme/app@${digest}`
      expect(await codeOf(client().resolve(reference, undefined, { signal }))).to.equal(
        'DIGEST_MISMATCH',
      )
      registry.setFault((_, response) => {
        response.setHeader('docker-content-digest', digest).end(image.manifest)
        return true
      })
      expect(await codeOf(resolve())).to.equal('DIGEST_MISMATCH')
    })

    it('reads no more of a manifest than 4 MiB, and no web page', async () => {
      put('huge', Buffer.alloc(5 << 20, ' '), image.mediaType)
      expect(await codeOf(resolve('huge'))).to.equal('REGISTRY_ERROR')
      put('page', Buffer.from('<html>secret of the inside</html>'), 'text/html')
      const error = await failure(resolve('page'))
      expect(errorCode(error)).to.equal('REGISTRY_ERROR')
      expect(inspect(error)).not.to.contain('secret')
    })
  })

  describe('when things break', () => {
    const always = (answer: (response: ServerResponse) => unknown) =>
      registry.setFault((_, response) => {
        answer(response)
        return true
      })

    it('goes on where a body broke, and never from the start', async () => {
      let breaks = 0
      registry.setFault((request, response) => {
        if (request.url !== layerPath || breaks === 6) return false
        breaks += 1
        const from = Number(/\d+/.exec(request.headers.range ?? '')?.[0] ?? 0)
        response.on('error', () => {})
        sendPartly(response, layers[0]!, from, 400_000)
        return true
      })
      const bytes = await read(client({ retriesMax: 10 }))
      expect(digestOf(bytes)).to.equal(layer.digest)
      const ranges = layerReads().map(({ range }) => range)
      expect(ranges.slice(0, 2)).to.deep.equal([undefined, 'bytes=400000-'])
      expect(ranges).to.have.length(7)
    })

    it('gives up on a body that keeps breaking', async () => {
      registry.setFault((request, response) => {
        const from = Number(/\d+/.exec(request.headers.range ?? '')?.[0] ?? 0)
        sendPartly(response, layers[0]!, from, 10)
        return true
      })
      expect(await codeOf(read(client()))).to.equal('REGISTRY_UNREACHABLE')
      expect(layerReads()).to.have.length(3)
    })

    it('asks again after a stall', async () => {
      let stalls = 0
      registry.setFault((request, response) => {
        if (request.url !== layerPath || stalls === 1) return false
        stalls += 1
        response
          .writeHead(200, { 'content-length': layer.sizeBytes })
          .write(layers[0]!.subarray(0, 99))
        return true
      })
      expect(digestOf(await read(client({ stallMs: 100 })))).to.equal(layer.digest)
      expect(layerReads().map(({ range }) => range)).to.deep.equal([undefined, 'bytes=99-'])
    })

    it('skips what it has where a server knows no ranges', async () => {
      registry.setFault((request, response) => {
        if (request.url !== layerPath) return false
        sendBlob(response, layers[0]!)
        return true
      })
      const rest = await read(client(), 1_234_567)
      expect(layers[0]!.subarray(1_234_567).equals(rest)).to.equal(true)
    })

    it('refuses another range, another length, an encoding', async () => {
      const range = (value: string) => (response: ServerResponse) =>
        response.writeHead(206, { 'content-range': value }).end('x')
      const last = layer.sizeBytes - 1
      const cases: readonly [string, (response: ServerResponse) => unknown][] = [
        ['REGISTRY_ERROR', range(`bytes 0-${last}/${layer.sizeBytes}`)],
        ['REGISTRY_ERROR', range('nonsense')],
        ['DIGEST_MISMATCH', range(`bytes 7-${last + 1}/${layer.sizeBytes + 1}`)],
        ['DIGEST_MISMATCH', (response) => response.writeHead(416).end()],
        ['DIGEST_MISMATCH', (response) => sendBlob(response, layers[0]!.subarray(1))],
        ['REGISTRY_ERROR', (response) => response.setHeader('content-encoding', 'gzip').end('x')],
      ]
      for (const [code, answer] of cases) {
        always(answer)
        expect(await codeOf(read(client(), 7))).to.equal(code)
      }
    })

    it('stops a body that brings too much', async () => {
      always((response) => response.write(Buffer.concat([layers[0]!, Buffer.from('more')])))
      expect(await codeOf(read(client()))).to.equal('DIGEST_MISMATCH')
    })

    it('waits as long as it is asked to, or hands the wait on', async () => {
      let refusals = 0
      registry.setFault((_, response) => {
        refusals += 1
        if (refusals > 1) return false
        response.writeHead(429, { 'retry-after': '0' }).end()
        return true
      })
      expect((await resolve()).layers).to.have.length(2)
      always((response) => response.writeHead(429, { 'retry-after': '3600' }).end())
      const error = await failure(resolve())
      expect(errorCode(error)).to.equal('RATE_LIMITED')
      expect(error).to.have.property('retryAfterMs', 3_600_000)
      expect(describeError(error)).to.contain('in 3600 s')
    })

    it('tries again on 5xx, not on 4xx', async () => {
      always((response) => response.writeHead(503).end())
      expect(await codeOf(resolve())).to.equal('REGISTRY_ERROR')
      expect(registry.asked).to.have.length(3)
      always((response) => response.writeHead(400).end())
      expect(await codeOf(resolve())).to.equal('REGISTRY_ERROR')
      expect(registry.asked).to.have.length(4)
    })

    it('says that nobody answers, or not with TLS', async () => {
      const { host } = registry
      const tls = client({ insecureRegistries: [] })
      const plain = await failure(tls.resolve(`${host}/acme/app`, undefined, { signal }))
      expect(errorCode(plain)).to.equal('REGISTRY_UNREACHABLE')
      expect(describeError(plain)).to.contain('does not speak TLS')
      await registry.close()
      expect(await codeOf(resolve())).to.equal('REGISTRY_UNREACHABLE')
      registry = await startFakeRegistry()
    })

    it('refuses registries and redirects that lead inside', async () => {
      const strict = client({ allow: [] })
      const inside = strict.resolve(`${registry.host}/acme/app`, undefined, { signal })
      expect(await codeOf(inside)).to.equal('ADDRESS_REFUSED')
      expect(registry.asked).to.have.length(0)
      const to = (location: string) =>
        always((response) => response.writeHead(302, { location }).end())
      to('https://10.0.0.1/blob')
      expect(await codeOf(read(client()))).to.equal('ADDRESS_REFUSED')
      to('http://storage.example/blob')
      expect(await codeOf(read(client()))).to.equal('REGISTRY_ERROR')
      to('gopher://x/')
      expect(await codeOf(read(client()))).to.equal('REGISTRY_ERROR')
      registry.asked.length = 0
      to(layerPath)
      expect(await codeOf(read(client()))).to.equal('REGISTRY_ERROR')
      expect(registry.asked, 'five redirects followed').to.have.length(6)
    })

    it('ends what is under way when closed', async () => {
      always((response) => response.writeHead(200).write('{'))
      const source = client()
      const pending = failure(resolve('v1', undefined, source))
      while (registry.asked.length === 0) await new Promise((turn) => setImmediate(turn))
      await source.close()
      expect(errorCode(await pending)).to.equal('REGISTRY_UNREACHABLE')
    })

    it('meets any noise with a typed error', async () => {
      const source = client({ retriesMax: 0, stallMs: 1000 })
      const base = JSON.parse(Buffer.from(image.manifest).toString())
      const value = fc.oneof(fc.jsonValue(), fc.constantFrom(base, base.config, base.layers))
      const document = fc.oneof(
        fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
        fc.dictionary(fc.constantFrom(...Object.keys(base), 'manifests'), value).map(json),
        fc
          .dictionary(fc.constantFrom(...Object.keys(base)), value)
          .map((odd) => json({ ...base, ...odd })),
      )
      const text = fc.stringMatching(/^[ -~]{0,60}$/)
      const headers = fc.dictionary(
        fc.constantFrom(
          'content-type',
          'docker-content-digest',
          'www-authenticate',
          'location',
          'retry-after',
          'date',
        ),
        text,
      )
      const status = fc.constantFrom(
        200,
        200,
        200,
        204,
        206,
        301,
        307,
        401,
        403,
        404,
        416,
        429,
        500,
      )
      await fc.assert(
        fc.asyncProperty(document, headers, status, async (bytes, odd, code) => {
          always((response) => response.writeHead(code, odd).end(bytes))
          const outcome = await resolve('v1', undefined, source).catch((error: unknown) => error)
          if (outcome instanceof Error)
            expect(outcome, inspect(outcome)).to.be.instanceOf(PotluckError)
        }),
        { numRuns: 300 },
      )
    })
  })
})

/** A response that promises all and breaks after `bytes`. */
function sendPartly(response: ServerResponse, blob: Uint8Array, from: number, bytes: number): void {
  if (from > 0) {
    response.statusCode = 206
    response.setHeader('content-range', `bytes ${from}-${blob.length - 1}/${blob.length}`)
  }
  response.setHeader('content-length', blob.length - from)
  response.write(blob.subarray(from, from + bytes), () => response.destroy())
}
