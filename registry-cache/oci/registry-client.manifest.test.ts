/** Which image a reference means, and what no engine could run. */
import { randomBytes } from 'node:crypto'
import { inspect } from 'node:util'
import { expect } from 'chai'
import { describeError, errorCode } from '../../protocol/errors.ts'
import { digestOf } from './digest.ts'
import { addImage, buildImage, descriptor, json } from './fake-registry.ts'
import { failure } from './image-source.conformance.ts'
import { codeOf, useRegistryBench } from './registry-bench.fixture.ts'

const INDEX = 'application/vnd.oci.image.index.v1+json'
const { signal } = new AbortController()

describe('registry client: which image', () => {
  const bench = useRegistryBench()
  const put = (tag: string, bytes: Uint8Array, mediaType: string) =>
    bench.registry.manifests.set(tag, { bytes, mediaType })

  it('picks linux/amd64 from an index, the baseline variant', async () => {
    const arm = buildImage([randomBytes(5)], { architecture: 'arm64' })
    const newer = buildImage([randomBytes(6)])
    for (const each of [arm, newer]) addImage(bench.registry, 'x', each)
    const entry = (of: typeof bench.image, platform: object) => ({
      ...descriptor(of.manifest, of.mediaType),
      platform,
    })
    const manifests = [
      entry(arm, { os: 'linux', architecture: 'arm64', variant: 'v8' }),
      entry(newer, { os: 'linux', architecture: 'amd64', variant: 'v3' }),
      entry(bench.image, { os: 'linux', architecture: 'amd64' }),
      entry(newer, { os: 'unknown', architecture: 'unknown' }),
    ]
    put('many', json({ schemaVersion: 2, mediaType: INDEX, manifests }), INDEX)
    expect((await bench.resolve('many')).manifestDigest).to.equal(digestOf(bench.image.manifest))
    const v3 = bench.client({ platform: { os: 'linux', architecture: 'amd64', variant: 'v3' } })
    const found = await bench.resolve('many', undefined, v3)
    expect(found.manifestDigest).to.equal(digestOf(newer.manifest))
    put('arm', json({ schemaVersion: 2, manifests: manifests.slice(0, 2) }), INDEX)
    const missing = await failure(bench.resolve('arm'))
    expect(errorCode(missing)).to.equal('PLATFORM_NOT_FOUND')
    expect(describeError(missing)).to.contain('it has: linux/arm64/v8, linux/amd64/v3')
  })

  it('reads Docker manifests and lists as well', async () => {
    const docker = buildImage([randomBytes(9)], { docker: true })
    const digest = addImage(bench.registry, 'docker', docker)
    expect((await bench.resolve('docker')).mediaType).to.contain('docker.distribution.manifest.v2')
    const list = 'application/vnd.docker.distribution.manifest.list.v2+json'
    const platform = { os: 'linux', architecture: 'amd64' }
    const manifests = [{ ...descriptor(docker.manifest, docker.mediaType), platform }]
    put('list', json({ schemaVersion: 2, mediaType: list, manifests }), list)
    expect((await bench.resolve('list')).manifestDigest).to.equal(digest)
  })

  it('names what it cannot run', async () => {
    const base = JSON.parse(Buffer.from(bench.image.manifest).toString())
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
      put('odd', bytes, bench.image.mediaType)
      const error = await failure(bench.resolve('odd'))
      expect(errorCode(error), words).to.equal('MANIFEST_UNSUPPORTED')
      expect(describeError(error)).to.contain(words)
    }
  })

  it('says that an image is not there', async () => {
    expect(await codeOf(bench.resolve('missing'))).to.equal('IMAGE_NOT_FOUND')
  })

  it('notices bytes that are not what the digest says', async () => {
    const digest = digestOf(randomBytes(1))
    put(digest, bench.image.manifest, bench.image.mediaType)
    const reference = `${bench.registry.host}/acme/app@${digest}`
    expect(await codeOf(bench.client().resolve(reference, undefined, { signal }))).to.equal(
      'DIGEST_MISMATCH',
    )
    bench.registry.setFault((_, response) => {
      response.setHeader('docker-content-digest', digest).end(bench.image.manifest)
      return true
    })
    expect(await codeOf(bench.resolve())).to.equal('DIGEST_MISMATCH')
  })

  it('reads no more of a manifest than 4 MiB, and no web page', async () => {
    put('huge', Buffer.alloc(5 << 20, ' '), bench.image.mediaType)
    expect(await codeOf(bench.resolve('huge'))).to.equal('REGISTRY_ERROR')
    put('page', Buffer.from('<html>secret of the inside</html>'), 'text/html')
    const error = await failure(bench.resolve('page'))
    expect(errorCode(error)).to.equal('REGISTRY_ERROR')
    expect(inspect(error)).not.to.contain('secret')
  })
})
