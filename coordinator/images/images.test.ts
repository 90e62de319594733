import { createHash } from 'node:crypto'
import { expect } from 'chai'
import { blobIdFor, chunkSizeFor } from '../../protocol/bundle/index.ts'
import type { BundleId, PeerId } from '../../protocol/ids.ts'
import { silentLogger } from '../../protocol/log/index.ts'
import { createMemoryStore, type Store } from '../../protocol/store/index.ts'
import { groupInput, openGroups, scope } from '../groups/groups.fixture.ts'
import type { GroupInput, GroupRecord, Groups } from '../groups/index.ts'
import { createSealer } from '../secrets/index.ts'
import { PeerState } from '../sessions/index.ts'
import { eventually } from '../testing/coordinator.ts'
import { fakeImage, fakeImageOf } from '../testing/fake-image.ts'
import type { CacheDesk } from './cache-desk.ts'
import { ImageFaultError, type Images, openBlobKeys, openImages } from './index.ts'

const credentials = { username: 'acme', password: 'hunter2-canary' }
const cachePeer = 'cache-1' as PeerId

describe('coordinator/images', () => {
  let store: Store
  let groups: Groups
  let images: Images
  let cache: PeerState
  const nodes = new Map<PeerId, PeerState>()
  let nowMs = 0
  const asked: string[] = []
  const keysSeen: string[][] = []
  const dropped: string[] = []
  let resolve: CacheDesk['resolve']
  let bundleFor: (blobIds: readonly string[]) => BundleId
  let fail: (() => Error | undefined) | undefined

  const open = async (): Promise<void> => {
    const sealer = createSealer([{ id: '00000001', key: Buffer.alloc(32, 7) }])
    const keys = await openBlobKeys({ store, sealer })
    const desk: CacheDesk = {
      resolve: (reference, given, options) => {
        asked.push(`resolve ${reference}${given ? ' with credentials' : ''}`)
        return resolve(reference, given, options)
      },
      async ingest(secrets, { accepts }) {
        asked.push(`ingest ${secrets.repository}${secrets.credentials ? ' with credentials' : ''}`)
        keysSeen.push(secrets.blobs.map(({ key }) => Buffer.from(key).toString('hex')))
        await new Promise((done) => setTimeout(done, 5))
        const error = fail?.()
        if (error) throw error
        const blobIds = secrets.blobs.map(({ key, digest, sizeBytes }) =>
          blobIdFor(key, digest, chunkSizeFor(sizeBytes)),
        )
        const bundle = bundleFor(blobIds)
        if (!accepts(bundle)) throw new ImageFaultError({ code: 'REFUSED', message: 'not its own' })
        return { cache: cachePeer, bundle, blobIds, registryBytes: 1 }
      },
      onMessage: () => {},
      isBusy: () => false,
    }
    const sessions = {
      caches: new Map([[cachePeer, cache]]),
      nodes,
      send(_peer: PeerId, message: { type: string; bundle?: string }) {
        if (message.type === 'drop-bundle') dropped.push(message.bundle ?? '')
        return true
      },
    }
    images = await openImages({
      ...{ store, keys, desk, sessions, groups, nowMs: () => nowMs, logger: silentLogger },
      onChange: () => {},
    })
  }
  const create = (changes: Partial<GroupInput> = {}): Promise<GroupRecord> =>
    groups.create(scope, groupInput({ replicas: 1, ...changes }))
  const tend = (): void => images.tend(groups.all(), new Set())
  const ready = (group: GroupRecord) =>
    eventually('the bundle', () => {
      tend()
      const newest = groups.byId(group.id)
      return newest && images.bundleOf(newest)
    })

  beforeEach(async () => {
    store = createMemoryStore()
    groups = await openGroups(store, 1_000)
    cache = new PeerState(cachePeer, 'cache', () => false)
    cache.connected = true
    nodes.clear()
    nowMs = 1_000
    fail = undefined
    bundleFor = (blobIds) => createHash('sha256').update(blobIds.join()).digest('hex') as BundleId
    resolve = async (reference) => fakeImage(reference)
    for (const list of [asked, keysSeen, dropped]) list.length = 0
    await open()
  })
  afterEach(async () => {
    await images.stop()
    await store.close()
  })

  it('asks once for a hundred groups that ask at once', async () => {
    const all = await Promise.all(
      Array.from({ length: 100 }, (_, index) => create({ name: `group-${index}` })),
    )
    for (const group of all) await ready(group)
    expect(asked).to.deep.equal([
      'resolve registry.example/acme/hello:1',
      'ingest registry.example/acme/hello',
    ])
  })

  it('drops credentials once the bundle is cached, and keeps private images apart', async () => {
    resolve = async (reference) => fakeImage(reference, false)
    const group = await create({ credentials })
    const bundle = await ready(group)
    await eventually('credentials are gone', () => {
      tend()
      return groups.byId(group.id)?.container.credentialsSealed === undefined
    })
    expect(images.bundle(bundle)?.scope).to.equal(scope.organizationId)
    expect(asked[1]).to.equal('ingest registry.example/acme/hello with credentials')
  })

  it('reuses the key of a blob that two images share', async () => {
    const shared = fakeImage('registry.example/acme/hello:1').blobs[1]
    resolve = async (reference) => {
      const image = fakeImage(reference)
      return shared && image.blobs[0] ? fakeImageOf(reference, [image.blobs[0], shared]) : image
    }
    await ready(await create())
    const container = { ...groupInput().container, image: 'registry.example/acme/hello:2' }
    await ready(await create({ name: 'second', container }))
    expect(keysSeen).to.have.length(2)
    expect(keysSeen[0]?.[1]).to.equal(keysSeen[1]?.[1])
    expect(keysSeen[0]?.[0]).to.not.equal(keysSeen[1]?.[0])
  })

  it('shows a final fault on the group and asks again only after a change', async () => {
    resolve = async () => {
      throw new ImageFaultError({ code: 'UNAUTHORIZED', message: 'credentials are refused' })
    }
    const group = await create()
    await eventually('the fault', () => {
      tend()
      return images.view(group.id)?.state === 'failed'
    })
    expect(images.view(group.id)?.fault?.code).to.equal('UNAUTHORIZED')
    nowMs += 3_600_000
    tend()
    expect(asked).to.have.length(1)
    resolve = async (reference) => fakeImage(reference, false)
    await groups.update(scope, 'hello', () => ({ credentials }))
    await ready(group)
    expect(asked[1]).to.equal('resolve registry.example/acme/hello:1 with credentials')
  })

  it('retries what may pass, later and later', async () => {
    let faults = 2
    fail = () =>
      faults-- > 0 ? new ImageFaultError({ code: 'CACHE_GONE', message: 'gone' }) : undefined
    const group = await create()
    const attempts = (): number => asked.filter((text) => text.startsWith('ingest')).length
    const tried = (count: number) =>
      eventually(`attempt ${count}`, () => {
        tend()
        return attempts() === count && images.view(group.id)?.fault !== undefined
      })
    await tried(1)
    tend()
    expect(attempts()).to.equal(1)
    nowMs += 1_000
    await tried(2)
    nowMs += 2_000
    await ready(group)
    expect(asked.filter((text) => text.startsWith('resolve'))).to.have.length(1)
  })

  it('draws a new key for a blob whose digest turned out wrong', async () => {
    const wrong = fakeImage('registry.example/acme/hello:1').blobs[1]?.digest
    let isFirst = true
    fail = () => {
      if (!isFirst) return undefined
      isFirst = false
      return new ImageFaultError({ code: 'DIGEST_MISMATCH', message: 'wrong' }, wrong)
    }
    const group = await create()
    await eventually('the fault', () => {
      tend()
      return images.view(group.id)?.fault
    })
    nowMs += 1_000
    await ready(group)
    expect(keysSeen[1]?.[0]).to.equal(keysSeen[0]?.[0])
    expect(keysSeen[1]?.[1]).to.not.equal(keysSeen[0]?.[1])
  })

  it('ingests again, under the same keys, what its cache has lost', async () => {
    const group = await create()
    const bundle = await ready(group)
    await images.stop()
    await open() // a restarted coordinator
    const newest = groups.byId(group.id)
    expect(newest && images.bundleOf(newest)).to.equal(bundle)
    cache.bundles = new Set()
    tend()
    await eventually('the second ingest', () => keysSeen.length === 2)
    expect(keysSeen[1]).to.deep.equal(keysSeen[0])
    await eventually('the cache has it', () => cache.bundles.has(bundle))
  })

  const second = { ...groupInput().container, image: 'registry.example/acme/hello:2' }

  it("refuses another image's bundle id, also of an ingest at the same time", async () => {
    bundleFor = () => 'c'.repeat(64) as BundleId
    const groups = [await create(), await create({ name: 'second', container: second })]
    await eventually('one is refused', () => {
      tend()
      return groups.some(({ id }) => images.view(id)?.fault?.code === 'REFUSED')
    })
    await eventually('one is cached', () => {
      tend()
      return groups.some((group) => images.bundleOf(group))
    })
    expect(groups.filter((group) => images.bundleOf(group))).to.have.length(1)
    const [taken] = groups.filter((group) => images.bundleOf(group))
    const { blobs } = fakeImage(taken?.container.image ?? '')
    expect(images.bundle(bundleFor([]))?.blobs[0]?.digest).to.equal(blobs[0]?.digest)
  })

  it('shares a bundle among manifests of the same blobs, until the last is gone', async () => {
    const { blobs } = fakeImage('registry.example/acme/hello:1')
    resolve = async (reference) => fakeImageOf(reference, blobs)
    const first = await create()
    const bundle = await ready(first)
    const other = await create({ name: 'second', container: second })
    expect(await ready(other)).to.equal(bundle)
    for (const group of [first, other]) {
      const { manifest } = images.manifestOf(group) ?? {}
      const { annotations } = JSON.parse(Buffer.from(manifest ?? []).toString())
      expect(annotations.reference).to.equal(group.container.image)
    }
    expect(asked.filter((text) => text.startsWith('ingest'))).to.have.length(1)
    await groups.delete(scope, 'hello')
    tend()
    expect(images.bundle(bundle)).to.not.equal(undefined)
    await groups.delete(scope, 'second')
    tend()
    tend()
    expect(images.bundle(bundle)).to.equal(undefined)
    await ready(await create({ name: 'third', container: second }))
    expect(asked.filter((text) => text.startsWith('ingest'))).to.have.length(2)
  })

  it('drops a bundle with the last group that needs it', async () => {
    const group = await create()
    const other = await create({ name: 'other' })
    const bundle = await ready(group)
    await ready(other)
    await groups.delete(scope, 'hello')
    tend()
    expect(images.bundle(bundle)).to.not.equal(undefined)
    await groups.delete(scope, 'other')
    tend()
    tend()
    expect(images.bundle(bundle)).to.equal(undefined)
    nowMs += 11_000
    tend()
    expect(dropped).to.deep.equal([bundle])
  })

  it('keeps the old version for nodes that are about to need what the new one shares', async () => {
    const { blobs } = fakeImage('registry.example/acme/hello:1')
    const old = await ready(await create())
    resolve = async (reference) =>
      fakeImageOf(reference, [...fakeImage(reference).blobs.slice(0, 1), ...blobs.slice(1)])
    await ready(await create({ name: 'next', container: second }))
    await groups.delete(scope, 'hello')
    tend()
    expect(images.bundle(old)).to.not.equal(undefined)
    nowMs += 61_000
    tend()
    expect(images.bundle(old)).to.equal(undefined)
  })

  it('drops a deleted group’s bundle also while other images are being prepared', async () => {
    const bundle = await ready(await create())
    const slow = Promise.withResolvers<never>()
    resolve = () => slow.promise
    await create({ name: 'second', container: second })
    tend()
    await groups.delete(scope, 'hello')
    tend()
    expect(images.bundle(bundle)).to.not.equal(undefined)
    nowMs += 61_000
    tend()
    expect(images.bundle(bundle)).to.equal(undefined)
    slow.reject(new ImageFaultError({ code: 'CACHE_GONE', message: 'gone' }))
  })

  it('drops what a node has in part, or held while it was away, once no group refers to it', async () => {
    const bundle = await ready(await create())
    const unknown = 'd'.repeat(64) as BundleId
    const node = new PeerState('node-1' as PeerId, 'node', () => false)
    node.connected = true
    node.partial = new Set([bundle, unknown])
    nodes.set(node.node, node)
    tend()
    tend()
    expect(dropped).to.deep.equal([unknown])
    nowMs += 11_000
    tend()
    expect(dropped).to.deep.equal([unknown, unknown])
  })
})
