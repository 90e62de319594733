/** The process inside this one: a coordinator's end and a downloader, over real libp2p. */
import { randomBytes, randomUUID } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { readBlobRange } from '../protocol/bundle/index.ts'
import { openBundleStore } from '../protocol/chunk-store/index.ts'
import { loadConfig } from '../protocol/config/index.ts'
import { credentialsCodec, ingestSecretsCodec } from '../protocol/control/index.ts'
import type { BundleId, PeerId } from '../protocol/ids.ts'
import { createLogger, silentLogger } from '../protocol/log/index.ts'
import { createMesh, type Mesh, peerIdOf } from '../protocol/mesh/index.ts'
import { formatNetworkFile } from '../protocol/network/index.ts'
import {
  type FakeCoordinator,
  startFakeCoordinator,
} from '../protocol/peer/fake-coordinator.fixture.ts'
import { createSwarm, RefusedError } from '../protocol/swarm/index.ts'
import { configSchema, run } from './index.ts'
import { keyOf } from './ingest/ingest.fixture.ts'
import { addImage, buildImage, type FakeRegistry, startFakeRegistry } from './oci/fake-registry.ts'
import { digestOf } from './oci/index.ts'

const canary = 'canary-7f3a9d'
const credentials = { username: 'tenant', password: `${canary}-password` }
const authorization = `Basic ${Buffer.from(`tenant:${canary}-password`).toString('base64')}`

describe('a cache, run', function () {
  this.timeout(30_000)
  let coordinator: FakeCoordinator
  let registry: FakeRegistry
  let folder: string
  let log: string
  let cache: Awaited<ReturnType<typeof startCache>>

  beforeEach(async () => {
    log = ''
    ;[coordinator, registry, folder] = await Promise.all([
      startFakeCoordinator(),
      startFakeRegistry(),
      mkdtemp(join(tmpdir(), 'potluck-cache-')),
    ])
    await writeFile(join(folder, 'network.json'), formatNetworkFile(coordinator.network))
    cache = await startCache()
  })
  afterEach(async () => {
    await cache.stop()
    await coordinator.stop()
    await registry.close()
    await rm(folder, { recursive: true })
  })

  async function startCache(more: Readonly<Record<string, unknown>> = {}) {
    const stopping = new AbortController()
    const ready = Promise.withResolvers<{ peer: PeerId; addresses: string[] }>()
    const flags = {
      'data-dir': join(folder, 'cache'),
      'run-dir': join(folder, 'run'),
      network: join(folder, 'network.json'),
      listen: ['/ip4/127.0.0.1/tcp/0'],
      'insecure-registries': ['127.0.0.0/8'],
      'allow-addresses': ['127.0.0.0/8'],
      testbed: true,
      ...more,
    }
    const config = loadConfig({ schema: configSchema, name: 'cache', env: {}, flags })
    const destination = {
      write(line: string) {
        log += line
      },
    }
    const said = coordinator.said.length
    const logger = createLogger({ level: 'trace', name: 'cache', destination })
    const { signal } = stopping
    const ended = run(config, {
      ...{ signal, logger },
      onReady: (info) => ready.resolve(info as { peer: PeerId; addresses: string[] }),
    })
    const { peer, addresses } = await Promise.race([ready.promise, ended.then(() => never())])
    await coordinator.hears('beat', undefined, said)
    return {
      ...{ peer, addresses },
      async stop() {
        stopping.abort(new Error('test over'))
        await ended
      },
    }
  }
  function never(): never {
    throw new Error('the cache ended before it was ready')
  }
  const protect = (): void =>
    registry.setFault((request, response) => {
      if (request.headers.authorization === authorization) return false
      response.writeHead(401, { 'www-authenticate': 'Basic realm="r"' }).end()
      return true
    })
  const seal = (bytes: Uint8Array) => coordinator.seal(cache.peer, bytes)
  const resolve = async (withCredentials = true) => {
    const id = randomUUID()
    await coordinator.send(cache.peer, {
      ...{ type: 'resolve', id, reference: `${registry.host}/acme/app:v1` },
      ...(withCredentials && { credentials: seal(credentialsCodec.encode(credentials)) }),
    })
    return await coordinator.hears('resolved', (answer) => answer.id === id)
  }
  const ingest = async (
    image: NonNullable<Awaited<ReturnType<typeof resolve>>['image']>,
    password = credentials.password,
  ) => {
    const id = randomUUID()
    const secrets = ingestSecretsCodec.encode({
      repository: image.repository,
      credentials: { ...credentials, password },
      blobs: image.blobs.map((blob) => ({ ...blob, key: keyOf(blob.digest) })),
    })
    await coordinator.send(cache.peer, { type: 'ingest', id, sealed: seal(secrets) })
    return await coordinator.hears('ingested', (answer) => answer.id === id)
  }

  it('resolves, ingests and serves an image; no secret is left anywhere', async () => {
    const layers = [randomBytes(700_000), randomBytes(20_000)]
    const image = buildImage(layers)
    addImage(registry, 'v1', image)
    protect()
    const { image: resolved } = await resolve()
    expect(resolved?.blobs.map(({ digest }) => digest)).to.deep.equal(image.blobs.map(digestOf))
    expect(resolved?.isPublic).to.equal(false)
    expect(Buffer.from(resolved!.manifest).equals(image.manifest)).to.equal(true)
    const { bundle, blobIds, registryBytes, fault } = await ingest(resolved!)
    expect(fault).to.equal(undefined)
    expect(blobIds).to.have.length(3)
    expect(registryBytes).to.equal(image.blobs.reduce((sum, { length }) => sum + length, 0))
    const listed = await coordinator.hears('beat', ({ bundles }) => bundles.includes(bundle!))
    expect(listed.bundles).to.deep.equal([bundle])

    const fetched = await download(bundle!)
    expect(fetched.map(digestOf)).to.deep.equal(image.blobs.map(digestOf))

    const refused = await resolve(false)
    expect(refused.fault?.code).to.equal('UNAUTHORIZED')
    const wrong = await ingest(resolved!, `${canary}-wrong`)
    expect(wrong.bundle, 'what is held needs no credentials').to.equal(bundle)
    await cache.stop()
    expect(log).to.contain('an image is here')
    for (const secret of [canary, authorization.slice('Basic '.length)]) {
      expect(log).to.not.contain(secret)
      expect(JSON.stringify(coordinator.said)).to.not.contain(secret)
      for (const bytes of await everyFile(folder)) expect(bytes.includes(secret)).to.equal(false)
    }
    const layer = layers[0]!.subarray(1_000, 1_032)
    for (const bytes of await everyFile(folder)) {
      expect(bytes.includes(layer), 'plaintext of a layer').to.equal(false)
      expect(
        bytes.includes(Buffer.from(keyOf(digestOf(layers[0]!)))),
        'the key of a blob',
      ).to.equal(false)
    }
    expect(await readdir(folder)).to.have.members(['cache', 'network.json'])
  })

  it('answers faults by their code, and names the blob whose bytes are wrong', async () => {
    const layer = randomBytes(100_000)
    addImage(registry, 'v1', buildImage([layer]))
    registry.blobs.set(digestOf(layer), randomBytes(100_000))
    const { image } = await resolve()
    const answer = await ingest(image!)
    expect(answer.fault?.code).to.equal('DIGEST_MISMATCH')
    expect(answer.wrongBlob).to.equal(digestOf(layer))
    expect(JSON.stringify(answer)).to.not.contain(canary)
  })

  it('tells how far it is, and answers on the stream that there is then', async () => {
    const image = buildImage([randomBytes(600_000)])
    addImage(registry, 'v1', image)
    const { image: resolved } = await resolve()
    const layer = image.blobs[1]!
    const rest = Promise.withResolvers<() => void>()
    registry.setFault(({ url }, response) => {
      if (!url?.endsWith(digestOf(layer))) return false
      response.setHeader('content-length', layer.length)
      response.write(layer.subarray(0, 300_000))
      rest.resolve(() => response.end(layer.subarray(300_000)))
      return true
    })
    const answer = ingest(resolved!)
    const progress = await coordinator.hears('ingest-progress', (one) => one.bytesDone > 200_000)
    expect(progress.bytesTotal).to.equal(image.blobs.reduce((sum, { length }) => sum + length, 0))
    const hellos = () => coordinator.said.filter(({ message }) => message.type === 'hello').length
    coordinator.hangUp(cache.peer)
    while (hellos() < 2) await coordinator.hears('beat', () => hellos() === 2)
    ;(await rest.promise)()
    expect((await answer).bundle).to.be.a('string')
    const reads = registry.asked.filter(({ path }) => path.endsWith(digestOf(layer)))
    expect(reads).to.have.length(1)
  })

  it('has its bundles after a restart, and lets go of those it is told to', async () => {
    addImage(registry, 'v1', buildImage([randomBytes(50_000)]))
    const { image } = await resolve()
    const { bundle } = await ingest(image!)
    await cache.stop()
    const before = cache.peer
    cache = await startCache()
    expect(cache.peer).to.equal(before)
    const hellos = coordinator.said.flatMap(({ message }) =>
      message.type === 'hello' ? [message.bundles] : [],
    )
    expect(hellos).to.deep.equal([[], [bundle]])
    expect((await download(bundle!)).length).to.equal(2)
    await coordinator.send(cache.peer, { type: 'drop-bundle', bundle: bundle! })
    const said = coordinator.said.length
    await coordinator.hears('beat', ({ bundles }) => bundles.length === 0, said)
  })

  it('runs without a registry on a simulated source', async () => {
    await cache.stop()
    cache = await startCache({ source: 'simulated' })
    const { image } = await resolve()
    const { bundle } = await ingest(image!)
    const fetched = await download(bundle!)
    expect(fetched.map(digestOf)).to.deep.equal(image!.blobs.map(({ digest }) => digest))
  })

  /** The blobs of a bundle, fetched from the cache with a ticket, and decrypted. */
  async function download(bundle: BundleId): Promise<Buffer[]> {
    const root = await mkdtemp(join(tmpdir(), 'potluck-download-'))
    const mesh: Mesh = await createMesh(
      { role: 'node', seed: randomBytes(32), testbed: true },
      { banned: () => false, logger: silentLogger },
    )
    const store = await openBundleStore({ root, budgetBytes: 2 ** 30 }, { logger: silentLogger })
    const self = peerIdOf(mesh.peerId)
    const swarm = createSwarm(
      {},
      {
        ...{ mesh, store, logger: silentLogger, timeMs: () => 0, isCache: () => true },
        verifyTicket: () => {
          throw new RefusedError(self, bundle, 'NO_TICKET')
        },
      },
    )
    try {
      await swarm.start()
      const stored = await swarm.download({
        bundle,
        ticket: () => coordinator.ticket(self, bundle),
        hints: [cache],
      }).done
      const { signal } = new AbortController()
      const keys = stored.descriptor.blobs.map(({ id }) => keyOfBlob(bundle, id))
      return await Promise.all(
        keys.map(async (key, index) =>
          Buffer.concat(await Array.fromAsync(readBlobRange(stored, index, key, { signal }))),
        ),
      )
    } finally {
      await swarm.stop()
      await store.close()
      await mesh.stop()
      await rm(root, { recursive: true })
    }
  }
  /** The key that was sealed for a blob, found by what the cache answered. */
  function keyOfBlob(bundle: BundleId, id: string): Uint8Array {
    for (const { message } of coordinator.said) {
      if (message.type !== 'ingested' || message.bundle !== bundle) continue
      const resolved = coordinator.said.flatMap((one) =>
        one.message.type === 'resolved' && one.message.image ? [one.message.image] : [],
      )
      for (const { blobs } of resolved) {
        const blob = blobs[message.blobIds!.indexOf(id as never)]
        if (blob) return keyOf(blob.digest)
      }
    }
    throw new Error(`no key for blob ${id}`)
  }
})

async function everyFile(folder: string): Promise<Buffer[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile())
  return await Promise.all(files.map(({ parentPath, name }) => readFile(join(parentPath, name))))
}
