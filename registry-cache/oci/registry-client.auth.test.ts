/** Who may pull: challenges, tokens, and that nobody else ever sees a password. */
import type { IncomingMessage } from 'node:http'
import { inspect } from 'node:util'
import { expect } from 'chai'
import { describeError, errorCode } from '../../protocol/errors.ts'
import { digestOf } from './digest.ts'
import { failure } from './image-source.conformance.ts'
import { createCredentials } from './image-source.ts'
import { codeOf, useRegistryBench } from './registry-bench.fixture.ts'

const PASSWORD = 'swordfish-canary'
const { signal } = new AbortController()

describe('registry client: who may pull', () => {
  const bench = useRegistryBench()
  const basic = `Basic ${Buffer.from(`tenant:${PASSWORD}`).toString('base64')}`
  const credentials = () => createCredentials('tenant', PASSWORD)
  function demandBasic(): void {
    bench.registry.setFault((request, response) => {
      if (request.headers.authorization === basic) return false
      response.writeHead(401, { 'www-authenticate': 'Basic realm="r"' }).end()
      return true
    })
  }
  /** Tokens from the other server, each good for one request unless told otherwise. */
  function demandTokens({ usesMax = Infinity } = {}): { issued: string[] } {
    const issued: string[] = []
    const uses = new Map<string, number>()
    const realm = `http://${bench.other.host}/token`
    bench.other.setFault((_, response) => {
      issued.push(`token-canary-${issued.length}`)
      response.end(JSON.stringify({ token: issued.at(-1), expires_in: 300 }))
      return true
    })
    bench.registry.setFault((request, response) => {
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
    const [source, mine] = [bench.client(), credentials()]
    const found = await bench.resolve('v1', mine, source)
    expect(found.public).to.equal(false)
    await bench.read(source, 0, mine)
    expect(bench.layerReads()).to.have.length(1)
    expect(bench.registry.asked).to.have.length(3)
  })

  it('asks for a blob once, also when another pull resolved the image', async () => {
    demandBasic()
    const source = bench.client()
    await bench.resolve('v1', credentials(), source)
    const mine = credentials()
    await Promise.all([bench.read(source, 0, mine), bench.read(source, 0, mine)])
    const blobs = bench.registry.asked.filter(({ path }) => path.includes('/blobs/'))
    expect(blobs.map(({ authorization }) => authorization)).to.deep.equal([basic, basic])
    expect(bench.registry.asked.filter(({ path }) => path === '/v2/')).to.have.length(1)
  })

  it('says which registry refuses, and whether credentials were given', async () => {
    demandBasic()
    const without = await failure(bench.resolve())
    expect(errorCode(without)).to.equal('UNAUTHORIZED')
    expect(describeError(without))
      .to.contain(bench.registry.host)
      .and.contain('without credentials')
    const wrong = await failure(bench.resolve('v1', createCredentials('tenant', 'wrong-canary')))
    expect(errorCode(wrong)).to.equal('UNAUTHORIZED')
    expect(describeError(wrong)).to.contain('the credentials that were given')
    expect(inspect(wrong, { depth: 9 })).not.to.contain('wrong-canary')
  })

  it('keeps what one tenant showed from the next', async () => {
    demandBasic()
    const source = bench.client()
    await bench.resolve('v1', credentials(), source)
    expect(await codeOf(bench.resolve('v1', undefined, source))).to.equal('UNAUTHORIZED')
    const stranger = createCredentials('tenant', 'guess')
    const proof = source.hasBlob(`${bench.registry.host}/acme/app`, bench.layer.digest, stranger, {
      signal,
    })
    expect(await codeOf(proof)).to.equal('UNAUTHORIZED')
  })

  it('gets a token, once for a pull, with and without credentials', async () => {
    for (const mine of [undefined, credentials()]) {
      const { issued } = demandTokens()
      const source = bench.client()
      await bench.resolve('v1', mine, source)
      await bench.read(source, 0, mine)
      expect(issued).to.have.length(1)
      const token = bench.other.asked.at(-1)!
      expect(token.authorization).to.equal(mine && basic)
      const query = new URL(token.path, 'http://x').searchParams
      expect(query.get('scope')).to.equal('repository:acme/app:pull')
      expect(query.get('service')).to.equal('fake')
    }
  })

  it('fetches a new token when one has run out, and gives up on a second 401', async () => {
    const { issued } = demandTokens({ usesMax: 1 })
    const source = bench.client()
    await bench.resolve('v1', undefined, source)
    await bench.read(source)
    expect(issued).to.have.length(2)
    demandTokens({ usesMax: 0 })
    expect(await codeOf(bench.resolve('v1', undefined, source))).to.equal('UNAUTHORIZED')
  })

  it('refuses realms without TLS or inside, and realms that refuse', async () => {
    const challenge = (realm: string) =>
      bench.registry.setFault((_, response) => {
        response.writeHead(401, { 'www-authenticate': `Bearer realm="${realm}"` }).end()
        return true
      })
    challenge('http://auth.example/token')
    expect(await codeOf(bench.resolve('v1', credentials()))).to.equal('REGISTRY_INSECURE')
    challenge('file:///etc/passwd')
    expect(await codeOf(bench.resolve('v1', credentials()))).to.equal('REGISTRY_INSECURE')
    challenge('nonsense')
    expect(await codeOf(bench.resolve('v1', credentials()))).to.equal('REGISTRY_ERROR')
    challenge('https://169.254.169.254/token')
    expect(await codeOf(bench.resolve('v1', credentials()))).to.equal('ADDRESS_REFUSED')
    challenge(`http://${bench.other.host}/token`)
    bench.other.setFault((_, response) => Boolean(response.writeHead(403).end()))
    expect(await codeOf(bench.resolve('v1', credentials()))).to.equal('UNAUTHORIZED')
    bench.other.setFault((_, response) => Boolean(response.end('{"token":"a\\nb: c"}')))
    expect(await codeOf(bench.resolve('v1', credentials()))).to.equal('REGISTRY_ERROR')
  })

  it('never takes credentials to another host, nor back from there', async () => {
    demandBasic()
    const inner = (request: IncomingMessage) => request.headers.authorization === basic
    bench.other.blobs.set(bench.layer.digest, bench.layerBytes)
    bench.registry.setFault((request, response) => {
      if (!inner(request)) response.writeHead(401, { 'www-authenticate': 'Basic' }).end()
      else
        response
          .writeHead(307, { location: `http://${bench.other.host}${bench.layerPath}?sig=canary` })
          .end()
      return true
    })
    const bytes = await bench.read(bench.client(), 0, credentials())
    expect(digestOf(bytes)).to.equal(bench.layer.digest)
    expect(bench.other.asked[0]!.authorization).to.equal(undefined)
    const back = `http://${bench.registry.host}/v2/acme/app/blobs/back`
    bench.other.setFault((_, response) =>
      Boolean(response.writeHead(307, { location: back }).end()),
    )
    await failure(bench.read(bench.client(), 0, credentials()))
    const returned = bench.registry.asked.filter(({ path }) => path.endsWith('/back'))
    expect(returned.length).to.be.greaterThan(0)
    for (const { authorization } of returned) expect(authorization).to.equal(undefined)
  })

  it('hides credentials from every usual way of showing a value', () => {
    const mine = credentials()
    const shown = [inspect(mine), JSON.stringify({ mine }), inspect({ ...mine })]
    for (const text of [...shown, Object.prototype.toString.call(mine)]) {
      expect(text).not.to.contain(PASSWORD)
    }
    expect(mine.password).to.equal(PASSWORD)
  })
})
