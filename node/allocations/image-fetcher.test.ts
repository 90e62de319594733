import { once } from 'node:events'
import { expect } from 'chai'
import { sampleBlob, sampleBundle } from '../../protocol/bundle/sample-bundle.ts'
import {
  createTemporaryStore,
  type TemporaryStore,
} from '../../protocol/chunk-store/temporary-store.ts'
import { systemClock } from '../../protocol/clock.ts'
import type { PeerId } from '../../protocol/ids.ts'
import { silentLogger } from '../../protocol/log/index.ts'
import type { AllocationSecrets } from '../../protocol/orders/index.ts'
import type { Swarm } from '../../protocol/swarm/index.ts'
import { digestOf } from '../engine/fake-endpoint.ts'
import { createSimulatedEngine, type ImageTransfer } from '../engine/index.ts'
import { createImageFetcher } from './image-fetcher.ts'

const signal = new AbortController().signal
const quick = { unpackMs: 1 }

async function imageOf(layerBytes: readonly number[]) {
  const blobs = [
    await sampleBlob(100, 'config'),
    ...(await Promise.all(layerBytes.map((size, n) => sampleBlob(size, `layer ${n}`)))),
  ]
  const [config, ...layers] = blobs.map(({ digest, sizeBytes }) => ({ digest, size: sizeBytes }))
  const manifest = Buffer.from(JSON.stringify({ schemaVersion: 2, config, layers }))
  const secrets: Pick<AllocationSecrets, 'manifest' | 'manifestDigest' | 'mediaType' | 'blobs'> = {
    manifest,
    manifestDigest: digestOf(manifest),
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    blobs: blobs.map(({ id, key, digest, sizeBytes }) => ({
      ...{ id, key, digest, sizeBytes },
      mediaType: 'application/octet-stream',
    })),
  }
  return { bundle: await sampleBundle(blobs), secrets: secrets as AllocationSecrets }
}

describe('node/allocations: images on their way into the engine', () => {
  let folder: TemporaryStore
  beforeEach(async () => {
    folder = await createTemporaryStore()
  })
  afterEach(() => folder.remove())

  async function bench(transfer: ImageTransfer) {
    const { bundle, secrets } = await imageOf([200_000, 100_000])
    const store = await folder.open()
    const engine = createSimulatedEngine({ ...quick, transfer }, { clock: systemClock })
    const stored = await store.add(bundle.descriptorBytes)
    const done = Promise.withResolvers<typeof stored>()
    const swarm = {
      download: ({ signal: given }: { signal: AbortSignal }) => ({
        done: Promise.race([
          done.promise,
          once(given, 'abort').then(() => {
            given.throwIfAborted()
            return stored
          }),
        ]),
        descriptor: Promise.resolve(stored),
        progress: () => ({ bytesDone: 0, bytesTotal: 1, fromPeer: new Map() }),
        addHints: () => {},
        prefer: () => {},
      }),
    } as unknown as Swarm
    const images = createImageFetcher({
      ...{ swarm, store, engine, logger: silentLogger, clock: systemClock },
      ticketFor: () => ({ payload: new Uint8Array(), signature: new Uint8Array() }),
      hintsFor: () => [],
      isCache: (_peer: PeerId) => false,
    })
    const arrive = async (): Promise<void> => {
      for (const [chunk, bytes] of bundle.chunks.entries()) await stored.put(chunk, bytes)
      done.resolve(stored)
    }
    return { images, bundle, secrets, store, engine, arrive }
  }

  for (const transfer of ['pull', 'load'] as const) {
    it(`gets an image into an engine by ${transfer} while it arrives, and counts the bytes`, async () => {
      const { images, bundle, secrets, engine, arrive } = await bench(transfer)
      const one = images.transfer(bundle.id)
      const pulled = one.pull(secrets, { signal, onUnpacking: () => {} })
      await arrive()
      expect(await pulled).to.be.a('string')
      expect(await engine.images({ signal })).to.deep.equal([secrets.manifestDigest])
      expect(one.progress().bytesServed).to.be.at.least(300_100)
      await one.release()
    })

    it(`ends a ${transfer} by the signal`, async () => {
      const { images, bundle, secrets, engine } = await bench(transfer)
      const one = images.transfer(bundle.id)
      const cancel = new AbortController()
      const pulled = one.pull(secrets, { signal: cancel.signal, onUnpacking: () => {} })
      const reason = new Error('revoked')
      setImmediate(() => cancel.abort(reason))
      expect(await pulled.catch((error: unknown) => error)).to.equal(reason)
      expect(await engine.images({ signal })).to.deep.equal([])
      await one.release()
    })
  }

  it('keeps a bundle while any instance needs it, pulled or found here', async () => {
    const { images, bundle, store, arrive } = await bench('pull')
    await arrive()
    const [one, two] = [images.transfer(bundle.id), images.transfer(bundle.id)]
    await one.release()
    await one.release()
    await store.setBudget(1)
    expect(store.get(bundle.id)?.complete).to.equal(true)
    const removed = new Promise((resolve) => store.onRemoved(resolve))
    await two.release()
    expect(await removed).to.equal(bundle.id)
  })
})
