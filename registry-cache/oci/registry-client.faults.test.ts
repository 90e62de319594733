/** Registries that break, stall, lie, redirect and limit: each becomes one clear error, or none. */
import type { ServerResponse } from 'node:http'
import { inspect } from 'node:util'
import { expect } from 'chai'
import fc from 'fast-check'
import { describeError, errorCode, PotluckError } from '../../protocol/errors.ts'
import { digestOf } from './digest.ts'
import { json, sendBlob } from './fake-registry.ts'
import { failure } from './image-source.conformance.ts'
import { codeOf, useRegistryBench } from './registry-bench.fixture.ts'

const { signal } = new AbortController()

describe('registry client: when things break', () => {
  const bench = useRegistryBench()
  const always = (answer: (response: ServerResponse) => unknown) =>
    bench.registry.setFault((_, response) => {
      answer(response)
      return true
    })

  it('goes on where a body broke, and never from the start', async () => {
    let breaks = 0
    bench.registry.setFault((request, response) => {
      if (request.url !== bench.layerPath || breaks === 6) return false
      breaks += 1
      const from = Number(/\d+/.exec(request.headers.range ?? '')?.[0] ?? 0)
      response.on('error', () => {})
      sendPartly(response, bench.layerBytes, from, 400_000)
      return true
    })
    const bytes = await bench.read(bench.client({ retriesMax: 10 }))
    expect(digestOf(bytes)).to.equal(bench.layer.digest)
    const ranges = bench.layerReads().map(({ range }) => range)
    expect(ranges.slice(0, 2)).to.deep.equal([undefined, 'bytes=400000-'])
    expect(ranges).to.have.length(7)
  })

  it('counts breaks anew after each MiB, so that long blobs get through bad lines', async () => {
    bench.registry.setFault((request, response) => {
      const from = Number(/\d+/.exec(request.headers.range ?? '')?.[0] ?? 0)
      if (request.url !== bench.layerPath || from > 2_000_000) return false
      sendPartly(response, bench.layerBytes, from, 1_200_000)
      return true
    })
    const bytes = await bench.read(bench.client({ retriesMax: 1 }))
    expect(digestOf(bytes)).to.equal(bench.layer.digest)
    const ranges = bench.layerReads().map(({ range }) => range)
    expect(ranges).to.deep.equal([undefined, 'bytes=1200000-', 'bytes=2400000-'])
  })

  it('gives up on a body that keeps breaking', async () => {
    bench.registry.setFault((request, response) => {
      const from = Number(/\d+/.exec(request.headers.range ?? '')?.[0] ?? 0)
      sendPartly(response, bench.layerBytes, from, 10)
      return true
    })
    expect(await codeOf(bench.read(bench.client()))).to.equal('REGISTRY_UNREACHABLE')
    expect(bench.layerReads()).to.have.length(3)
  })

  it('notices a body that ends early as if it were whole', async () => {
    always((response) => response.writeHead(200).end())
    expect(await codeOf(bench.read(bench.client()))).to.equal('REGISTRY_UNREACHABLE')
    expect(bench.layerReads()).to.have.length(3)
  })

  it('asks again after a stall', async () => {
    let stalls = 0
    bench.registry.setFault((request, response) => {
      if (request.url !== bench.layerPath || stalls === 1) return false
      stalls += 1
      response
        .writeHead(200, { 'content-length': bench.layer.sizeBytes })
        .write(bench.layerBytes.subarray(0, 99))
      return true
    })
    expect(digestOf(await bench.read(bench.client({ stallMs: 100 })))).to.equal(bench.layer.digest)
    expect(bench.layerReads().map(({ range }) => range)).to.deep.equal([undefined, 'bytes=99-'])
  })

  it('skips what it has where a server knows no ranges', async () => {
    bench.registry.setFault((request, response) => {
      if (request.url !== bench.layerPath) return false
      sendBlob(response, bench.layerBytes)
      return true
    })
    const rest = await bench.read(bench.client(), 1_234_567)
    expect(bench.layerBytes.subarray(1_234_567).equals(rest)).to.equal(true)
  })

  it('refuses another range, another length, an encoding', async () => {
    const range = (value: string) => (response: ServerResponse) =>
      response.writeHead(206, { 'content-range': value }).end('x')
    const last = bench.layer.sizeBytes - 1
    const cases: readonly [string, (response: ServerResponse) => unknown][] = [
      ['REGISTRY_ERROR', range(`bytes 0-${last}/${bench.layer.sizeBytes}`)],
      ['REGISTRY_ERROR', range('nonsense')],
      ['DIGEST_MISMATCH', range(`bytes 7-${last + 1}/${bench.layer.sizeBytes + 1}`)],
      ['DIGEST_MISMATCH', (response) => response.writeHead(416).end()],
      ['DIGEST_MISMATCH', (response) => sendBlob(response, bench.layerBytes.subarray(1))],
      ['REGISTRY_ERROR', (response) => response.setHeader('content-encoding', 'gzip').end('x')],
    ]
    for (const [code, answer] of cases) {
      always(answer)
      expect(await codeOf(bench.read(bench.client(), 7))).to.equal(code)
    }
  })

  it('stops a body that brings too much', async () => {
    always((response) => response.write(Buffer.concat([bench.layerBytes, Buffer.from('more')])))
    expect(await codeOf(bench.read(bench.client()))).to.equal('DIGEST_MISMATCH')
  })

  it('waits as long as it is asked to, or hands the wait on', async () => {
    let refusals = 0
    bench.registry.setFault((_, response) => {
      refusals += 1
      if (refusals > 1) return false
      response.writeHead(429, { 'retry-after': '0' }).end()
      return true
    })
    expect((await bench.resolve()).layers).to.have.length(2)
    always((response) => response.writeHead(429, { 'retry-after': '3600' }).end())
    const error = await failure(bench.resolve())
    expect(errorCode(error)).to.equal('RATE_LIMITED')
    expect(error).to.have.property('retryAfterMs', 3_600_000)
    expect(describeError(error)).to.contain('in 3600 s')
  })

  it('tries again on 5xx, not on 4xx', async () => {
    always((response) => response.writeHead(503).end())
    expect(await codeOf(bench.resolve())).to.equal('REGISTRY_ERROR')
    expect(bench.registry.asked).to.have.length(3)
    always((response) => response.writeHead(400).end())
    expect(await codeOf(bench.resolve())).to.equal('REGISTRY_ERROR')
    expect(bench.registry.asked).to.have.length(4)
  })

  it('says that nobody answers, or not with TLS', async () => {
    const { host } = bench.registry
    const tls = bench.client({ insecureRegistries: [] })
    const plain = await failure(tls.resolve(`${host}/acme/app`, undefined, { signal }))
    expect(errorCode(plain)).to.equal('REGISTRY_UNREACHABLE')
    expect(describeError(plain)).to.contain('does not speak TLS')
    await bench.registry.close()
    expect(await codeOf(bench.resolve())).to.equal('REGISTRY_UNREACHABLE')
  })

  it('refuses registries and redirects that lead inside', async () => {
    const strict = bench.client({ allow: [] })
    const inside = strict.resolve(`${bench.registry.host}/acme/app`, undefined, { signal })
    expect(await codeOf(inside)).to.equal('ADDRESS_REFUSED')
    expect(bench.registry.asked).to.have.length(0)
    const to = (location: string) =>
      always((response) => response.writeHead(302, { location }).end())
    to('https://10.0.0.1/blob')
    expect(await codeOf(bench.read(bench.client()))).to.equal('ADDRESS_REFUSED')
    for (const location of ['http://storage.example/blob', 'gopher://x/']) {
      to(location)
      expect(await codeOf(bench.read(bench.client()))).to.equal('REGISTRY_INSECURE')
    }
    bench.registry.asked.length = 0
    to(bench.layerPath)
    expect(await codeOf(bench.read(bench.client()))).to.equal('REGISTRY_ERROR')
    expect(bench.registry.asked, 'five redirects followed').to.have.length(6)
  })

  it('ends what is under way when closed', async () => {
    always((response) => response.writeHead(200).write('{'))
    const source = bench.client()
    const pending = failure(bench.resolve('v1', undefined, source))
    while (bench.registry.asked.length === 0) await new Promise((turn) => setImmediate(turn))
    await source.close()
    expect(errorCode(await pending)).to.equal('REGISTRY_UNREACHABLE')
  })

  it('meets any noise with a typed error', async () => {
    const source = bench.client({ retriesMax: 0, stallMs: 1000 })
    const base = JSON.parse(Buffer.from(bench.image.manifest).toString())
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
    const status = fc.constantFrom(200, 200, 200, 204, 206, 301, 307, 401, 403, 404, 416, 429, 500)
    await fc.assert(
      fc.asyncProperty(document, headers, status, async (bytes, odd, code) => {
        always((response) => response.writeHead(code, odd).end(bytes))
        const outcome = await bench
          .resolve('v1', undefined, source)
          .catch((error: unknown) => error)
        if (outcome instanceof Error)
          expect(outcome, inspect(outcome)).to.be.instanceOf(PotluckError)
      }),
      { numRuns: 300 },
    )
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
