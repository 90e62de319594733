/** The client against Debian's docker-registry, with Basic auth, where it is installed. */
import { randomBytes } from 'node:crypto'
import { expect } from 'chai'
import { systemClock } from '../../protocol/clock.ts'
import { errorCode } from '../../protocol/errors.ts'
import {
  type DockerRegistry,
  dockerRegistryBinary,
  hasDockerRegistry,
  registryCredentials,
  startDockerRegistry,
} from './docker-registry.fixture.ts'
import { buildImage } from './fake-registry.ts'
import { failure, imageSourceConformance } from './image-source.conformance.ts'
import { createCredentials } from './image-source.ts'
import { createRegistryClient } from './registry-client.ts'

function client() {
  const init = { allow: ['127.0.0.0/8'], insecureRegistries: ['127.0.0.0/8'], retriesMax: 0 }
  return createRegistryClient(init, { clock: systemClock })
}

if (hasDockerRegistry) {
  let registry: DockerRegistry
  imageSourceConformance('registry client, on docker-registry with Basic auth', {
    open: async () => {
      registry = await startDockerRegistry()
      await registry.push('acme/app', 'v1', buildImage([randomBytes(2_000_000)]))
      return {
        source: client(),
        reference: `${registry.host}/acme/app:v1`,
        credentials: registryCredentials,
      }
    },
    close: () => registry.stop(),
  })

  describe('registry client on docker-registry', () => {
    const { signal } = new AbortController()
    before(async () => {
      registry = await startDockerRegistry()
    })
    after(() => registry.stop())

    it('gets its own errors from it', async () => {
      await registry.push('acme/docker', 'v1', buildImage([randomBytes(9)], { docker: true }))
      const source = client()
      const code = async (tag: string, credentials = registryCredentials) =>
        errorCode(
          await failure(source.resolve(`${registry.host}/acme/${tag}`, credentials, { signal })),
        )
      expect(await code('docker:v2')).to.equal('IMAGE_NOT_FOUND')
      expect(await code('nothing')).to.equal('IMAGE_NOT_FOUND')
      expect(await code('docker:v1', createCredentials('tenant', 'no'))).to.equal('UNAUTHORIZED')
      const image = await source.resolve(`${registry.host}/acme/docker:v1`, registryCredentials, {
        signal,
      })
      expect(image.layers).to.have.length(1)
      await source.close()
    })
  })
} else {
  describe('registry client on docker-registry', () => {
    it(`skipped: ${dockerRegistryBinary} is not installed (apt-get install docker-registry)`)
  })
}
