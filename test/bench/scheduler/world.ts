/**
 * The coordinator's placing half around real parts (groups, book, planner, signer, sealer, LevelDB),
 * with nodes that are played: they take every order and show it with their next beat.
 */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { createGroups, type Groups } from '../../../coordinator/groups/index.ts'
import type { Images } from '../../../coordinator/images/index.ts'
import { createOrderSigner } from '../../../coordinator/orders/index.ts'
import {
  createHolders,
  createOrderBuilder,
  createReconciler,
  createSettling,
  defaultLeaseNumbers,
  openSlotBook,
  type Reconciler,
  type SlotBook,
} from '../../../coordinator/reconciler/index.ts'
import { createSealer } from '../../../coordinator/secrets/index.ts'
import { PeerState, type Sessions } from '../../../coordinator/sessions/index.ts'
import type { Placement } from '../../../coordinator/slots/index.ts'
import { fakeImageOf } from '../../../coordinator/testing/fake-image.ts'
import { systemClock } from '../../../protocol/clock.ts'
import type { InstanceReport } from '../../../protocol/control/index.ts'
import { peerIdOfPublicKey } from '../../../protocol/identity/index.ts'
import type {
  BlobId,
  BundleId,
  Digest,
  NetworkId,
  PeerId,
  SlotId,
  Term,
} from '../../../protocol/ids.ts'
import { silentLogger } from '../../../protocol/log/index.ts'
import { drawKeyPair } from '../../../protocol/sealing/index.ts'
import { createSigner } from '../../../protocol/signing/index.ts'
import { createLevelStore, type Store } from '../../../protocol/store/index.ts'

export type World = AsyncDisposable &
  Readonly<{
    groups: Groups
    book: SlotBook
    store: Store
    reconciler: Reconciler
    nodes: ReadonlyMap<PeerId, PeerState>
    bundle: BundleId
    /** The node shows this placement from now on. */
    show(slot: SlotId, placement: Placement): void
  }>

const gib = 2 ** 30
const beatMs = 5_000
/** More than a million slots on ten thousand nodes. */
const allocationsMax = 160
const layers = 6
const bundle = 'b'.repeat(64) as BundleId

export async function openWorld(nodeCount: number, dir: string): Promise<World> {
  const store = await createLevelStore({ path: join(dir, 'store') })
  const sealer = createSealer([{ id: '00000001', key: randomBytes(32) }])
  const groups = await createGroups(
    { replicasQuota: 100_000_000 },
    { store, sealer, logger: silentLogger },
  )
  const book = await openSlotBook({ store })
  const nodes = new Map<PeerId, PeerState>()
  for (let index = 0; index < nodeCount; index++) {
    const node = playedNode(index)
    nodes.set(node.node, node)
  }
  const keys = Array.from({ length: 64 }, () => drawKeyPair().publicKey)
  let keyTurn = 0
  const unshown = new Map<SlotId, Placement>()
  const sessions: Pick<Sessions, 'nodes' | 'caches' | 'send' | 'takeKey' | 'giveBackKey'> = {
    ...{ nodes, caches: new Map(), giveBackKey: () => {} },
    takeKey: () => keys[keyTurn++ % keys.length],
    send: () => true,
  }
  const nowMs = (): number => Math.floor(systemClock.nowMs())
  const signer = createOrderSigner({
    ...{ signer: createSigner(randomBytes(32)), network: 'n'.repeat(64) as NetworkId },
    ...{ term: 1 as Term, nowMs, leaseMs: defaultLeaseNumbers.leaseMs },
  })
  const holders = createHolders({ book, sessions })
  const images = playedImages()
  const wallMs = (): number => Date.now()
  const builder = createOrderBuilder({ signer, sessions, holders, images, groups, wallMs })
  const reconciler = createReconciler(defaultLeaseNumbers, {
    ...{ book, builder, holders, signer, sessions, images, groups, nowMs, wallMs },
    ...{ clock: systemClock, logger: silentLogger },
    isHeld: () => false,
    settling: createSettling({ startedMs: nowMs(), expected: new Set() }),
    preemption: { minRunMs: 1_800_000 },
    brake: { holding: false, update: () => undefined },
    mayOrder: () => true,
  })
  groups.onChange((group) => reconciler.touchGroup(group))

  const show = (slot: SlotId, placement: Placement): void => {
    const node = nodes.get(placement.node)
    const report = reportOf(slot, placement)
    node?.held.set(slot, { fence: placement.fence, report })
  }
  book.onChange((next) => {
    if (next?.placement?.state === 'ordered') unshown.set(next.slot, next.placement)
  })
  const beats = setInterval(() => {
    for (const [slot, placement] of unshown) {
      show(slot, placement)
      reconciler.touchNode(placement.node)
    }
    unshown.clear()
  }, beatMs)
  return {
    ...{ groups, book, store, reconciler, nodes, show, bundle },
    async [Symbol.asyncDispose]() {
      clearInterval(beats)
      await reconciler.stop()
      await store.close()
    },
  }
}

/** A home of its own, with room for some dozens of the bench's slots. */
function playedNode(index: number): PeerState {
  const peer = peerIdOfPublicKey(new Uint8Array(randomBytes(32)))
  const node = new PeerState(peer, 'node', () => false)
  const ip = `${20 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}.7`
  Object.assign(node, {
    ...{ connected: true, household: ip, helloMs: 1, addrs: [`/ip4/${ip}/tcp/4001`] },
    pool: { size: 32 },
    capacity: {
      ...{ milliCpus: 64_000, memoryBytes: 512 * gib, storageBytes: 4_000 * gib, gpus: [] },
      ...{ region: 'local', versions: {}, allocationsMax, envAllowed: true },
    },
  })
  return node
}

function reportOf(slot: SlotId, { fence, instance }: Placement): InstanceReport {
  return {
    ...{ slot, ...fence, instance, state: 'accepted', restarts: 0, bytesTotal: 0, bytesDone: 0 },
    ...{ bytesFromCaches: 0, bytesFromPeers: 0, bytesServed: 0 },
  }
}

/** One image of a usual size for all groups, cached whole. */
function playedImages(): Pick<Images, 'tend' | 'bundleOf' | 'bundle' | 'manifestOf' | 'openBlobs'> {
  const hex = (at: number): string => at.toString(16).padStart(64, '0')
  const parts = Array.from({ length: layers }, (_, at) => ({
    digest: `sha256:${hex(at)}` as Digest,
    ...{ sizeBytes: 1e9, mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip' },
  }))
  const { manifest, manifestDigest, mediaType } = fakeImageOf('registry.example/app:1', parts)
  const blobs = parts.map((part, at) => ({
    ...{ ...part, id: hex(100 + at) as BlobId, key: new Uint8Array(randomBytes(32)) },
  }))
  return {
    tend() {},
    bundleOf: () => bundle,
    bundle: () => ({ bundle }) as never,
    manifestOf: () => ({ manifest, manifestDigest, mediaType }),
    openBlobs: () => blobs,
  }
}
