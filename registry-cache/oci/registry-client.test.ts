/** The client does what every image source does. */
import { randomBytes } from 'node:crypto'
import { addImage, buildImage, type FakeRegistry, startFakeRegistry } from './fake-registry.ts'
import { imageSourceConformance } from './image-source.conformance.ts'
import { loopbackClient } from './registry-bench.fixture.ts'

let fake: FakeRegistry
imageSourceConformance('registry client, on a fake registry', {
  open: async () => {
    fake = await startFakeRegistry()
    addImage(fake, 'v1', buildImage([randomBytes(700_000), randomBytes(10)]))
    const reference = `${fake.host}/acme/app:v1`
    return { source: loopbackClient(), reference, credentials: undefined }
  },
  close: () => fake.close(),
})
