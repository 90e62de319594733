/** From "this slot goes to that node" to a signed order and the placement that records it. */
import { randomUUID } from 'node:crypto'
import type { InstanceId, PeerId } from '../../protocol/ids.ts'
import { allocationCodec } from '../../protocol/orders/index.ts'
import type { GroupRecord, Groups } from '../groups/index.ts'
import type { Images } from '../images/index.ts'
import type { OrderSigner, SignedAllocation } from '../orders/index.ts'
import type { Sessions } from '../sessions/index.ts'
import { type Leaving, nextFence, type Placement, type SlotRecord } from '../slots/index.ts'
import type { Holders } from './holders.ts'

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
  sessions: Pick<Sessions, 'takeKey'>
  holders: Pick<Holders, 'hintsFor'>
  images: Pick<Images, 'bundleOf' | 'bundle' | 'openBlobs'>
  groups: Pick<Groups, 'openEnv'>
  /** For display. */
  wallMs: () => number
}>

export function createOrderBuilder(components: OrderBuilderComponents): OrderBuilder {
  const { signer, sessions, holders, images, groups, wallMs } = components

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
        hints: holders.hintsFor(bundle, node),
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
        ...{ restart, lostAfterMs, orphanAfterMs, strict, hints: holders.hintsFor(bundle, node) },
      })
      return placed({ fence, node, instance, version, bundle, resources }, signed)
    },
  }
}
