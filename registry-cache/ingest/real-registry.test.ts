/** Ingest from Debian's docker-registry, judged by that registry's own access log. */
import { randomBytes } from 'node:crypto'
import { expect } from 'chai'
import { createTemporaryStore } from '../../protocol/chunk-store/temporary-store.ts'
import { silentLogger } from '../../protocol/log/index.ts'
import {
  type DockerRegistry,
  dockerRegistryBinary,
  hasDockerRegistry,
  registryCredentials,
  startDockerRegistry,
} from '../oci/docker-registry.fixture.ts'
import { buildImage } from '../oci/fake-registry.ts'
import { createCredentials, digestOf } from '../oci/index.ts'
import { loopbackClient } from '../oci/registry-bench.fixture.ts'
import { createIngester } from './index.ts'
import { keyOf } from './ingest.fixture.ts'

describe('ingest from docker-registry', function () {
  this.timeout(30_000)
  let registry: DockerRegistry
  before(async function () {
    if (!hasDockerRegistry) {
      console.error(`    skipped: ${dockerRegistryBinary} is not installed`)
      this.skip()
    }
    registry = await startDockerRegistry()
  })
  after(() => registry?.stop())

  it('reads each blob of two versions once, though a hundred ask for each', async () => {
    const base = randomBytes(3_000_000)
    const versions = [1, 2].map(() => buildImage([base, randomBytes(400_000)]))
    for (const [index, image] of versions.entries()) {
      await registry.push('acme/app', `v${index}`, image)
    }
    const folder = await createTemporaryStore()
    const [source, store] = [loopbackClient(), await folder.open()]
    const announce = (): void => undefined
    const ingester = createIngester({}, { store, source, announce, logger: silentLogger })
    const { signal } = new AbortController()
    try {
      const results = await Promise.all(
        Array.from({ length: 200 }, async (_, index) => {
          const tag = `v${index % 2}`
          const { username, password } = registryCredentials
          const credentials = createCredentials(username, password)
          const reference = `${registry.host}/acme/app:${tag}`
          const { repository, config, layers } = await source.resolve(reference, credentials, {
            signal,
          })
          const blobs = [config, ...layers].map((blob) => ({ ...blob, key: keyOf(blob.digest) }))
          return await ingester.ingest({ repository, credentials, blobs }, { signal })
        }),
      )
      const distinct = new Set(versions.flatMap(({ blobs }) => blobs.map(digestOf)))
      const sizes = new Map(
        versions.flatMap(({ blobs }) => blobs.map((b) => [digestOf(b), b.length])),
      )
      const imageBytes = [...sizes.values()].reduce((sum, size) => sum + size, 0)
      const registryBytes = results.reduce((sum, one) => sum + one.registryBytes, 0)
      expect(registryBytes).to.equal(imageBytes)
      await registry.flushLog()
      expect([...registry.blobReads].sort()).to.deep.equal(
        [...distinct].map((digest) => `/v2/acme/app/blobs/${digest}`).sort(),
      )
    } finally {
      await ingester.stop()
      await source.close()
      await folder.remove()
    }
  })
})
