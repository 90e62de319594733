/**
 * An engine that cannot reach the node's loopback, as Docker Desktop's cannot: a real one in another
 * network namespace. Images are streamed into it, and what it has of them is not sent again.
 */
import { rm } from 'node:fs/promises'
import { expect } from 'chai'
import { testNode, testSpec } from '../../node/engine/engine.conformance.ts'
import { fakeArchive } from '../../node/engine/fake-archive.ts'
import type { FakeImage } from '../../node/engine/fake-endpoint.ts'
import { createDockerEngine, type Engine } from '../../node/engine/index.ts'
import { silentLogger } from '../../protocol/log/index.ts'
import { type Image, smallImage } from '../../scripts/image/index.ts'
import {
  createProcesses,
  createRunFolder,
  createStreet,
  type Processes,
  type RunFolder,
  type Street,
  startEngine,
} from '../../scripts/street/index.ts'

const options = { signal: new AbortController().signal }

describe('an engine beyond the loopback', function () {
  this.timeout(60_000)
  let run: RunFolder
  let processes: Processes
  let street: Street
  let docker: Awaited<ReturnType<typeof startEngine>>
  let engine: Engine

  before(async () => {
    run = await createRunFolder()
    processes = createProcesses({ run })
    street = await createStreet({ run })
    const { namespace } = await street.addHome({ label: 'beyond' })
    docker = await startEngine({ namespace, label: 'beyond' }, { processes, run })
    engine = createDockerEngine(
      { socketPath: docker.socket, node: testNode, managed: false },
      { logger: silentLogger, isolation: { ensure: async () => {}, verify: async () => {} } },
    )
  })
  after(async () => {
    await engine?.close()
    await docker?.stop()
    await processes.stopAll()
    await street.dispose()
    await rm(run.path, { recursive: true, force: true })
  })

  it('is found out, is sent the image, and runs it', async () => {
    expect(await engine.imageTransfer(options)).to.equal('load')
    const archive = fakeArchive(await bytesOf(await smallImage()))
    const reference = await engine.load(archive, options)
    const spec = testSpec(
      { image: archive.image, source: { reference, username: '', password: '' } },
      { command: ['/bin/sh', '-c', 'echo loaded'] },
    )
    const { id } = await engine.run(spec, options)
    await engine.waitExit(id, options)
    expect(await engine.logTail(id, 1, options)).to.deep.equal(['loaded'])
    await engine.remove(id, { ...options, graceMs: 0 })
  })

  it('is sent only the layers of a new version that it has not', async () => {
    const image = await smallImage({ version: 2 })
    const archive = fakeArchive(await bytesOf(image))
    await engine.load(archive, options)
    const [config, shared, changed] = [image.config, ...image.layers].map(({ digest }) => digest)
    expect(archive.reads).to.include.members([config, changed])
    expect(archive.reads).to.not.include(shared)
    for (const digest of await engine.images(options)) await engine.removeImage(digest, options)
    expect(await engine.images(options)).to.deep.equal([])
  })
})

async function bytesOf({ manifest, config, layers }: Image): Promise<FakeImage> {
  const blobs = new Map<string, Uint8Array>()
  for (const blob of [config, ...layers]) {
    blobs.set(blob.digest, Buffer.concat(await Array.fromAsync(blob.open())))
  }
  const bytes = Buffer.concat(await Array.fromAsync(manifest.open()))
  return { mediaType: manifest.mediaType, manifest: bytes, blobs }
}
