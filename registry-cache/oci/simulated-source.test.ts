import { expect } from 'chai'
import { createMemoryStore } from '../../protocol/store/index.ts'
import { imageSourceConformance } from './image-source.conformance.ts'
import { createCredentials, type ImageSource } from './image-source.ts'
import { createSimulatedSource } from './simulated-source.ts'

imageSourceConformance('simulated', {
  open: async () => ({
    source: createSimulatedSource(),
    reference: 'ubuntu:24.04',
    credentials: undefined,
  }),
  close: async () => {},
})

describe('simulated source', () => {
  const options = { signal: new AbortController().signal }

  it('makes the same small image in every process, and another for another tag', async () => {
    const [one, two] = [createSimulatedSource(), createSimulatedSource()]
    const first = await one.resolve('ghcr.io/acme/model:1', undefined, options)
    const again = await two.resolve('ghcr.io/acme/model:1', undefined, options)
    const next = await two.resolve('ghcr.io/acme/model:2', undefined, options)
    expect(again).to.deep.equal(first)
    expect(next.manifestDigest).not.to.equal(first.manifestDigest)
    expect(next.layers[0]).to.deep.equal(first.layers[0])
    expect(next.layers[1]).not.to.deep.equal(first.layers[1])
    expect(first.sizeBytes).to.be.within(1_000_000, 4_500_000)
  })

  it('takes any credentials, and says that the image is then not public', async () => {
    const source = createSimulatedSource()
    const image = await source.resolve('private/app', createCredentials('a', 'b'), options)
    expect(image.public).to.equal(false)
    expect(image.reference).to.equal('docker.io/private/app:latest')
  })

  it('knows an image again after a restart, when it has a store', async () => {
    const store = createMemoryStore()
    const { repository, layers } = await createSimulatedSource({ store }).resolve(
      'ghcr.io/acme/model:1',
      undefined,
      options,
    )
    const has = (source: ImageSource) =>
      source.hasBlob(repository, layers[1]!.digest, undefined, options)
    expect(await has(createSimulatedSource({ store }))).to.equal(true)
    expect(await has(createSimulatedSource())).to.equal(false)
  })
})
