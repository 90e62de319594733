/** Whole swarms on loopback for tests: hosts, stores on disk, tickets of a toy coordinator. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import Type from 'typebox'
import {
  bundleIdOf,
  chunkNameOf,
  cutFor,
  encodeDescriptor,
  travelBytesOf,
} from '../bundle/index.ts'
import { type BundleStore, openBundleStore, type StoredBundle } from '../chunk-store/index.ts'
import { PotluckError } from '../errors.ts'
import type { BlobId, BundleId, PeerId } from '../ids.ts'
import { silentLogger } from '../log/index.ts'
import type { Mesh, PeerAddress } from '../mesh/index.ts'
import { addressOf, createMeshStreet, type HostInit } from '../mesh/mesh.fixture.ts'
import {
  BundleIdSchema,
  CountSchema,
  createCodec,
  PeerIdSchema,
  type Signed,
} from '../wire/index.ts'
import { createHolderIndex } from './dht.ts'
import type { Misbehaviour } from './peer-book.ts'
import {
  createSwarm,
  type Download,
  type DownloadRequest,
  type Swarm,
  type SwarmComponents,
  type SwarmInit,
} from './swarm.ts'
import type { VerifyTicket } from './ticket-desk.ts'

const codec = createCodec(
  'toy ticket',
  Type.Object({ peer: PeerIdSchema, bundle: BundleIdSchema, expiresMs: CountSchema() }),
  { maxBytes: 1024 },
)

/** A ticket that only tests accept: its signature is 64 sevens. */
export function toyTicket(peer: PeerId, bundle: BundleId, expiresMs = 1_000_000): Signed {
  return {
    payload: codec.encode({ peer, bundle, expiresMs }),
    signature: new Uint8Array(64).fill(7),
  }
}

/** Checks toy tickets as orders are checked, at the time that `timeMs` says. */
export function toyVerifier(timeMs: () => number): VerifyTicket {
  return (signed, peer, bundle) => {
    if (signed.signature.some((byte) => byte !== 7)) {
      throw new PotluckError('BAD_SIGNATURE', 'not signed with sevens')
    }
    const ticket = codec.decode(signed.payload)
    if (ticket.peer !== peer) throw new PotluckError('WRONG_AUDIENCE', 'for another peer')
    if (ticket.bundle !== bundle) throw new PotluckError('WRONG_BUNDLE', 'for another bundle')
    if (ticket.expiresMs <= timeMs()) throw new PotluckError('EXPIRED', 'too late')
    return { expiresMs: ticket.expiresMs }
  }
}

export type TestBundle = Readonly<{
  id: BundleId
  descriptorBytes: Uint8Array
  chunks: readonly Uint8Array[]
  travelBytes: number
}>

/** A bundle of random blobs of these sizes. Chunks are noise: the swarm never opens them. */
export function randomBundle(...blobSizes: number[]): TestBundle {
  const chunks: Uint8Array[] = []
  const blobs = blobSizes.map((sizeBytes) => {
    const cut = cutFor(sizeBytes)
    const own = Array.from({ length: cut.chunkCount }, (_, index) =>
      randomBytes(travelBytesOf(cut, index)),
    )
    chunks.push(...own)
    return {
      ...cut,
      id: randomBytes(32).toString('hex') as BlobId,
      names: Buffer.concat(own.map((chunk) => chunkNameOf(chunk))),
    }
  })
  const descriptorBytes = encodeDescriptor(blobs)
  const travelBytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0)
  return { id: bundleIdOf(descriptorBytes), descriptorBytes, chunks, travelBytes }
}

export type Home = Readonly<{
  mesh: Mesh
  store: BundleStore
  /** Where the store keeps its files. */
  folder: string
  swarm: Swarm
  address: PeerAddress
  misbehaviours: Misbehaviour[]
  /** Puts a bundle, or the chunks that `which` names, into the store. */
  fill(bundle: TestBundle, which?: (chunk: number) => boolean): Promise<StoredBundle>
  /** The process dies: connections drop, nothing is said. */
  kill(): Promise<void>
}>

export type SwarmStreet = Readonly<{
  home(options?: HomeOptions): Promise<Home>
  /** The coordinator's time, in ms; moves by `setTime`. */
  setTime(ms: number): void
  stop(): Promise<void>
}>

export type HomeOptions = Readonly<{
  init?: SwarmInit
  with?: Partial<SwarmComponents>
  /** Stands between the swarm and its store. */
  wrap?: (store: BundleStore) => BundleStore
  mesh?: HostInit
  /** The DHT's secret; absent: no DHT. */
  dhtSecret?: () => Uint8Array | undefined
}>

export function createSwarmStreet(): SwarmStreet {
  const meshes = createMeshStreet()
  const stops: (() => Promise<void>)[] = []
  let nowMs = 0
  return {
    setTime(ms) {
      nowMs = ms
    },
    async home(options = {}) {
      const folder = await mkdtemp(join(tmpdir(), 'potluck-swarm-'))
      const mesh = await meshes.host(options.mesh ?? {})
      const store = await openBundleStore(
        { root: folder, budgetBytes: 1 << 30 },
        { logger: silentLogger },
      )
      const misbehaviours: Misbehaviour[] = []
      const swarm = createSwarm(options.init ?? {}, {
        mesh,
        store: options.wrap ? options.wrap(store) : store,
        verifyTicket: toyVerifier(() => nowMs),
        timeMs: () => nowMs,
        isCache: () => false,
        logger: silentLogger,
        onMisbehaviour: (what) => misbehaviours.push(what),
        ...(options.dhtSecret
          ? { holders: createHolderIndex({ mesh, secret: options.dhtSecret }) }
          : {}),
        ...options.with,
      })
      await swarm.start()
      stops.push(async () => {
        await swarm.stop()
        await store.close()
        await rm(folder, { recursive: true, force: true })
      })
      return {
        mesh,
        store,
        folder,
        swarm,
        address: addressOf(mesh),
        misbehaviours,
        async fill(bundle, which = () => true) {
          const stored = await store.add(bundle.descriptorBytes)
          for (const [chunk, bytes] of bundle.chunks.entries()) {
            if (which(chunk)) await stored.put(chunk, bytes)
          }
          return stored
        },
        async kill() {
          for (const connection of mesh.getConnections()) connection.abort(new Error('killed'))
          await mesh.stop()
        },
      }
    },
    async stop() {
      await Promise.all(stops.splice(0).map((stop) => stop()))
      await meshes.stop()
    },
  }
}

/** Starts a download at `home` with a good ticket. */
export function getBundle(
  home: Home,
  bundle: TestBundle,
  from: readonly Home[],
  more: Partial<DownloadRequest> = {},
): Download {
  return home.swarm.download({
    bundle: bundle.id,
    ticket: () => toyTicket(home.address.peer, bundle.id),
    hints: from.map(({ address }) => address),
    signal: AbortSignal.timeout(15_000),
    ...more,
  })
}

/** Reads every chunk back. */
export async function expectWhole(stored: StoredBundle, bundle: TestBundle): Promise<void> {
  expect(stored.complete).to.equal(true)
  for (const [chunk, bytes] of bundle.chunks.entries()) {
    expect(Buffer.compare(await stored.read(chunk), bytes)).to.equal(0)
  }
}

/** Waits for a condition that no event tells of. */
export async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not in 10 s: ${condition}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

type Overrides = {
  readonly [Name in keyof StoredBundle]?: (bundle: StoredBundle) => StoredBundle[Name]
}

/** A store whose bundles lie about some of their properties. */
export function wrapBundles(store: BundleStore, overrides: Overrides): BundleStore {
  const wrapped = new WeakMap<StoredBundle, StoredBundle>()
  const wrap = (bundle: StoredBundle): StoredBundle => {
    const known = wrapped.get(bundle)
    if (known) return known
    const proxy = new Proxy(bundle, {
      get(target, name) {
        const override = overrides[name as keyof StoredBundle]
        if (override) return override(target)
        return bound(target, name)
      },
    })
    wrapped.set(bundle, proxy)
    return proxy
  }
  return new Proxy(store, {
    get(target, name) {
      if (name === 'get') {
        return (id: BundleId) => {
          const bundle = target.get(id)
          return bundle && wrap(bundle)
        }
      }
      return bound(target, name)
    },
  })
}

/** A store that passes what it reads through `change`. */
export function withRead(
  change: (chunk: number, bytes: Uint8Array) => Uint8Array | Promise<Uint8Array>,
): (store: BundleStore) => BundleStore {
  return (store) =>
    wrapBundles(store, {
      readRun:
        (bundle) =>
        async ({ start, count }) => {
          const chunks = Array.from({ length: count }, (_, at) => start + at)
          const read = async (chunk: number) => await change(chunk, await bundle.read(chunk))
          return Buffer.concat(await Promise.all(chunks.map(read)))
        },
    })
}

function bound(target: object, name: string | symbol): unknown {
  const value: unknown = Reflect.get(target, name, target)
  return typeof value === 'function' ? value.bind(target) : value
}
