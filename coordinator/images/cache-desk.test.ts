import { createHash, randomBytes } from 'node:crypto'
import { expect } from 'chai'
import { blobIdFor, chunkSizeFor } from '../../protocol/bundle/index.ts'
import type { ResolvedManifest } from '../../protocol/control/index.ts'
import { errorCode } from '../../protocol/errors.ts'
import type { BundleId, Digest, PeerId } from '../../protocol/ids.ts'
import { drawKeyPair } from '../../protocol/sealing/index.ts'
import { PeerState } from '../sessions/index.ts'
import { fakeImage, fakeImageOf } from '../testing/fake-image.ts'
import { type CacheDesk, createCacheDesk } from './cache-desk.ts'

const reference = 'registry.example/acme/hello:1'
const honest = fakeImage(reference)
const bundle = 'b'.repeat(64) as BundleId
const { signal } = new AbortController()
const credentials = { username: 'acme', password: 'hunter2' }

/** Of any text as a manifest, consistent in itself. */
function imageOf(text: string): ResolvedManifest {
  const digest = createHash('sha256').update(text).digest('hex')
  return { ...honest, manifest: Buffer.from(text), manifestDigest: `sha256:${digest}` as Digest }
}

describe('coordinator/images/cache-desk', () => {
  let asked: PeerId[]
  let images: ResolvedManifest[]
  let idSets: (readonly string[])[]

  /** Caches that answer with the next of what is prepared, whoever is asked. */
  const open = (cacheCount = 1): CacheDesk => {
    const caches = new Map<PeerId, PeerState>()
    for (let index = 0; index < cacheCount; index++) {
      const cache = new PeerState(`cache-${index}` as PeerId, 'cache', () => false)
      cache.connected = true
      cache.pool = { offer() {}, take: () => undefined, giveBack() {}, size: 9, wantedCount: 0 }
      caches.set(cache.node, cache)
    }
    const desk = createCacheDesk({
      sessions: {
        caches,
        takeKey: () => drawKeyPair().publicKey,
        signalOf: () => undefined,
        send(peer, message) {
          if (!('id' in message)) return false
          asked.push(peer)
          const { id, type } = message
          const image = images.shift()
          const blobIds = idSets.shift() as never
          queueMicrotask(() => {
            if (type === 'resolve' && image) desk.onMessage(peer, { type: 'resolved', id, image })
            else desk.onMessage(peer, { type: 'ingested', id, bundle, blobIds })
          })
          return true
        },
      },
    })
    return desk
  }
  const codeOf = (work: Promise<unknown>): Promise<string | undefined> =>
    work.then(() => 'none', errorCode)
  const resolve = (image: ResolvedManifest, of = reference, given?: typeof credentials) => {
    images = [image]
    return open().resolve(of, given, { signal })
  }

  beforeEach(() => {
    asked = []
    images = []
    idSets = []
  })

  it('believes an image whose digest and blobs are those of its manifest', async () => {
    expect(await resolve(honest)).to.deep.equal(honest)
    const [config, layer] = honest.blobs
    const twice = imageOf(
      JSON.stringify({
        config: { digest: config?.digest, size: 1_000 },
        layers: [1, 2].map(() => ({ digest: layer?.digest, size: 1_000 })),
      }),
    )
    expect((await resolve(twice)).blobs).to.deep.equal(honest.blobs)
  })

  it('refuses a manifest of another digest, and blobs that are not its own', async () => {
    const [config, layer] = honest.blobs
    if (!config || !layer) throw new Error('two blobs')
    const wrong: Record<string, ResolvedManifest> = {
      digest: { ...honest, manifestDigest: fakeImage('another').manifestDigest },
      fewer: { ...honest, blobs: [config] },
      swapped: { ...honest, blobs: [layer, config] },
      'another size': { ...honest, blobs: [config, { ...layer, sizeBytes: 999 }] },
      'another layer': { ...honest, blobs: [config, { ...layer, digest: config.digest }] },
      'no JSON': imageOf('hello'),
      'no image': imageOf('{"manifests":[]}'),
      both: imageOf(
        JSON.stringify({ ...JSON.parse(Buffer.from(honest.manifest).toString()), manifests: [] }),
      ),
    }
    for (const [what, image] of Object.entries(wrong)) {
      expect(await codeOf(resolve(image)), what).to.equal('CACHE_ANSWER_INVALID')
    }
  })

  it('takes for private what was resolved with credentials, whatever the cache says', async () => {
    expect((await resolve(honest, reference, credentials)).isPublic).to.equal(false)
    expect((await resolve(honest)).isPublic).to.equal(true)
  })

  it('takes another digest for a pinned one only if that may be of an index', async () => {
    const pinned = `registry.example/acme/hello@${honest.manifestDigest}`
    images = [fakeImage('other'), honest, fakeImage('other')]
    const desk = open()
    // The limit: nothing tells yet that the pinned digest is no index's.
    expect(await codeOf(desk.resolve(pinned, undefined, { signal }))).to.equal('none')
    expect(await codeOf(desk.resolve(reference, undefined, { signal }))).to.equal('none')
    const third = desk.resolve(pinned, undefined, { signal })
    expect(await codeOf(third)).to.equal('CACHE_ANSWER_INVALID')
  })

  it('asks another cache after a wrong answer', async () => {
    images = [imageOf('hello'), honest]
    const image = await open(3).resolve(reference, undefined, { signal })
    expect(image.manifestDigest).to.equal(honest.manifestDigest)
    expect(new Set(asked).size).to.equal(2)
  })

  it('refuses blobs that were not given and bundles that are known otherwise', async () => {
    const { repository } = honest
    const blobs = fakeImageOf(reference, honest.blobs).blobs.map((blob) => ({
      ...blob,
      key: new Uint8Array(randomBytes(32)),
    }))
    const right = blobs.map(({ key, digest, sizeBytes }) =>
      blobIdFor(key, digest, chunkSizeFor(sizeBytes)),
    )
    const ingest = (isKnown: boolean) =>
      open(2).ingest(
        { repository, blobs },
        { affinity: 'x', signal, onProgress: () => {}, accepts: () => !isKnown },
      )
    idSets = [right.toReversed(), right]
    expect((await ingest(false)).blobIds).to.deep.equal(right)
    expect(new Set(asked).size).to.equal(2)
    idSets = [right.slice(1), right.slice(1)]
    expect(await codeOf(ingest(false))).to.equal('CACHE_ANSWER_INVALID')
    idSets = [right, right]
    expect(await codeOf(ingest(true))).to.equal('CACHE_ANSWER_INVALID')
  })
})
