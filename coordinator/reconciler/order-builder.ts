/** From "this slot goes to that node" to a signed order and the placement that records it. */
import { randomUUID } from 'node:crypto'
import { type BundleId, type InstanceId, type PeerId, parseSlotId } from '../../protocol/ids.ts'
import { type AllocationSecrets, allocationCodec } from '../../protocol/orders/index.ts'
import { BadRecipientKeyError } from '../../protocol/sealing/index.ts'
import type { GroupRecord, Groups } from '../groups/index.ts'
import type { ImageManifest, Images } from '../images/index.ts'
import type { BillingTerms, DrawTerms } from '../ledger/index.ts'
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
  /** Erases what was opened for the orders of one group. */
  forget(): void
  /** A new epoch for a container that runs already: nothing is sealed anew. */
  readopt(record: SlotRecord, from: Leaving): BuiltOrder
  /** A new epoch for the container that runs, which is to be restarted; undefined without one. */
  restart(record: SlotRecord): BuiltOrder | undefined
}

export type OrderBuilderComponents = Readonly<{
  signer: OrderSigner
  sessions: Pick<Sessions, 'takeKey' | 'giveBackKey'>
  holders: Pick<Holders, 'hintsFor'>
  images: Pick<Images, 'bundleOf' | 'bundle' | 'manifestOf' | 'openBlobs'>
  groups: Pick<Groups, 'openEnv' | 'byId'>
  /** What an instance costs; absent: nothing, as in tests. */
  drawTerms?: DrawTerms
  /** For display. */
  wallMs: () => number
}>

export function createOrderBuilder(components: OrderBuilderComponents): OrderBuilder {
  const { signer, sessions, holders, images, groups, wallMs } = components

  const placed = (
    spec: Omit<Placement, 'order' | 'issuedMs' | 'acceptUntilMs' | 'state' | 'stateSinceMs'>,
    signed: SignedAllocation,
    billing: BillingTerms | undefined,
  ): BuiltOrder => {
    const { order, issuedMs, acceptUntilMs } = signed
    const placement: Placement = {
      ...spec,
      ...{ order, issuedMs, acceptUntilMs, state: 'ordered', stateSinceMs: wallMs() },
      ...(billing ? { billing } : {}),
    }
    return { placement, signed }
  }

  /** A new epoch for a container that is there. */
  const goingOn = (
    record: SlotRecord,
    { node, instance, version, bundle, resources, order, deletionCost, billing }: Placement,
    asked: Readonly<{ restartNow?: boolean }> = {},
  ): BuiltOrder => {
    const old = allocationCodec.decode(order.payload)
    const { restart, lostAfterMs, orphanAfterMs, strict, sealed } = old
    const fence = nextFence(record, signer.term)
    const signed = signer.allocation({
      ...{ fence, slot: record.slot, node, instance, bundle, resources, sealed, ...asked },
      ...{ restart, lostAfterMs, orphanAfterMs, strict, hints: holders.hintsFor(bundle, node) },
    })
    // An order of before a restore brings no terms: it costs what it would if it were placed now.
    const group = billing ? undefined : groups.byId(parseSlotId(record.slot).group)
    const drawn = group && components.drawTerms?.(group, { node, gpuUuids: resources.gpuUuids })
    const spec = { fence, node, instance, version, bundle, resources }
    const built = placed(spec, signed, billing ?? drawn)
    if (deletionCost === undefined) return built
    return { ...built, placement: { ...built.placement, deletionCost } }
  }

  /** A group's slots are ordered one after the other, and each is told the same. */
  let opened: Readonly<{ group: GroupRecord; bundle: BundleId; secrets: Uint8Array }> | undefined
  const forget = (): void => {
    opened?.secrets.fill(0)
    opened = undefined
  }
  const open = (group: GroupRecord, bundle: BundleId): Uint8Array | undefined => {
    if (opened?.group === group && opened.bundle === bundle) return opened.secrets
    forget()
    const image = images.bundle(bundle)
    const manifest = images.manifestOf(group)
    const blobs = image && images.openBlobs(image)
    if (!manifest || !blobs) return undefined
    const env = groups.openEnv(group)
    const secrets = signer.encodeSecrets(secretsOf(group, { ...manifest, blobs, env }))
    opened = { group, bundle, secrets }
    return secrets
  }

  return {
    forget,
    allocate(record, { node, gpuUuids, group }) {
      const bundle = images.bundleOf(group)
      const secrets = bundle && open(group, bundle)
      if (!secrets) return undefined
      const { container, extension } = group
      const { milliCpus, memoryBytes, storageBytes, shmBytes } = container
      const resources = { milliCpus, memoryBytes, storageBytes, shmBytes, gpuUuids: [...gpuUuids] }
      const instance = randomUUID() as InstanceId
      const fence = nextFence(record, signer.term)
      const hints = holders.hintsFor(bundle, node)
      const oneTimeKey = sessions.takeKey(node)
      if (!oneTimeKey) return undefined
      try {
        const sealed = signer.sealSecrets(secrets, oneTimeKey)
        const signed = signer.allocation({
          ...{ fence, slot: record.slot, node, instance, bundle, resources, sealed, hints },
          restart: group.restartPolicy,
          ...extension,
        })
        const billing = components.drawTerms?.(group, { node, gpuUuids })
        const spec = { fence, node, instance, version: group.version, bundle, resources }
        return placed(spec, signed, billing)
      } catch (error) {
        // An order that can never be made is tried again and again: it must not use up the keys.
        if (!(error instanceof BadRecipientKeyError)) sessions.giveBackKey(node, oneTimeKey)
        throw error
      }
    },
    readopt: (record, from) => goingOn(record, from),
    restart: (record) =>
      record.placement && goingOn(record, record.placement, { restartNow: true }),
  }
}

function secretsOf(
  group: GroupRecord,
  image: ImageManifest & Pick<AllocationSecrets, 'blobs' | 'env'>,
): AllocationSecrets {
  return {
    v: 1,
    ...image,
    env: { ...image.env },
    command: [...group.container.command],
    ...{ organization: group.organization, organizationId: group.organizationId },
    ...{ project: group.project, projectId: group.projectId },
    ...{ group: group.name, groupId: group.id },
  }
}
