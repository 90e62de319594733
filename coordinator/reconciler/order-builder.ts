/** From "this slot goes to that node" to a signed order and the placement that records it. */
import { randomUUID } from 'node:crypto'
import type { BundleId, InstanceId, PeerId } from '../../protocol/ids.ts'
import { allocationCodec, type PeerHint } from '../../protocol/orders/index.ts'
import type { GroupRecord, Groups } from '../groups/index.ts'
import type { Images } from '../images/index.ts'
import type { OrderSigner, SignedAllocation } from '../orders/index.ts'
import type { Sessions } from '../sessions/index.ts'
import { type Leaving, nextFence, type Placement, type SlotRecord } from '../slots/index.ts'

export type BuiltOrder = Readonly<{ placement: Placement; signed: SignedAllocation }>

export interface OrderBuilder {
  /**
   * A new instance; undefined when the world moved on since the plan (no key left, bundle gone).
   * @throws {PotluckError} the order cannot be made: too large, secrets unreadable.
   */
  allocate(
    record: SlotRecord,
    at: Readonly<{ node: PeerId; gpuUuids: readonly string[]; group: GroupRecord }>,
  ): BuiltOrder | undefined
  /** A new epoch for a container that runs already: nothing is sealed anew. */
  readopt(record: SlotRecord, from: Leaving): BuiltOrder
}

export type OrderBuilderComponents = Readonly<{
  signer: OrderSigner
  sessions: Pick<Sessions, 'takeKey' | 'nodes' | 'caches'>
  images: Pick<Images, 'bundleOf' | 'bundle' | 'openBlobs'>
  groups: Pick<Groups, 'openEnv'>
  /** For display. */
  wallMs: () => number
}>

/** Holders told with an order; the DHT and later hints know more. */
const hintsMax = 16

export function createOrderBuilder(components: OrderBuilderComponents): OrderBuilder {
  const { signer, sessions, images, groups, wallMs } = components

  const placed = (
    spec: Pick<Placement, 'fence' | 'node' | 'instance' | 'version' | 'bundle' | 'resources'>,
    signed: SignedAllocation,
  ): BuiltOrder => {
    const { order, issuedMs, acceptUntilMs } = signed
    const placement: Placement = {
      ...spec,
      ...{ order, issuedMs, acceptUntilMs, state: 'ordered', stateSinceMs: wallMs() },
    }
    return { placement, signed }
  }

  /** Caches first: they have all of it. Then nodes, the ones that have it whole. */
  const hintsFor = (bundle: BundleId, audience: PeerId): readonly PeerHint[] => {
    const hints: PeerHint[] = []
    for (const all of [sessions.caches, sessions.nodes]) {
      for (const { node, connected, bundles, addrs } of all.values()) {
        if (hints.length >= hintsMax) return hints
        if (!connected || node === audience || !bundles.has(bundle)) continue
        hints.push({ peer: node, addrs: [...addrs] })
      }
    }
    return hints
  }

  return {
    allocate(record, { node, gpuUuids, group }) {
      const bundle = images.bundleOf(group)
      const image = bundle && images.bundle(bundle)
      const blobs = image && images.openBlobs(image)
      if (!bundle || !image || !blobs) return undefined
      const env = groups.openEnv(group)
      const oneTimeKey = sessions.takeKey(node)
      if (!oneTimeKey) return undefined
      const { container, extension } = group
      const sealed = signer.sealSecrets(
        {
          v: 1,
          ...{ manifest: image.manifest, manifestDigest: image.manifestDigest },
          ...{ mediaType: image.mediaType, blobs, env: { ...env } },
          command: [...container.command],
          ...{ organization: group.organization, organizationId: group.organizationId },
          ...{ project: group.project, projectId: group.projectId },
          ...{ group: group.name, groupId: group.id },
        },
        oneTimeKey,
      )
      const { milliCpus, memoryBytes, storageBytes, shmBytes } = container
      const resources = { milliCpus, memoryBytes, storageBytes, shmBytes, gpuUuids: [...gpuUuids] }
      const instance = randomUUID() as InstanceId
      const fence = nextFence(record, signer.term)
      const signed = signer.allocation({
        ...{ fence, slot: record.slot, node, instance, bundle, resources, sealed },
        hints: hintsFor(bundle, node),
        restart: group.restartPolicy,
        ...extension,
      })
      return placed({ fence, node, instance, version: group.version, bundle, resources }, signed)
    },
    readopt(record, { node, instance, version, bundle, resources, order }) {
      const old = allocationCodec.decode(order.payload)
      const { restart, lostAfterMs, orphanAfterMs, strict, sealed } = old
      const fence = nextFence(record, signer.term)
      const signed = signer.allocation({
        ...{ fence, slot: record.slot, node, instance, bundle, resources, sealed },
        ...{ restart, lostAfterMs, orphanAfterMs, strict, hints: hintsFor(bundle, node) },
      })
      return placed({ fence, node, instance, version, bundle, resources }, signed)
    },
  }
}
