/** What is spoken for on each node: by placements, by what is leaving, by what nobody ordered. */
import type { GroupId, PeerId, SlotId } from '../../protocol/ids.ts'
import { parseSlotId } from '../../protocol/ids.ts'
import type { Resources } from '../../protocol/orders/index.ts'
import type { NodeView, Placement, SlotRecord } from '../slots/index.ts'

export type NodeUsage = {
  milliCpus: number
  memoryBytes: number
  storageBytes: number
  allocations: number
  readonly gpuUuids: Set<string>
  readonly groups: Set<GroupId>
}

export interface Usage {
  of(node: PeerId): Readonly<NodeUsage>
  add(node: PeerId, slot: SlotId, resources: Resources): void
}

/**
 * Counts once, from records and from what connected nodes show. Something that leaves a node that
 * is away is not counted: the node is no candidate, and when it returns it shows what it holds.
 */
export function createUsage(
  slots: Iterable<SlotRecord>,
  nodes: ReadonlyMap<PeerId, NodeView>,
): Usage {
  const byNode = new Map<PeerId, NodeUsage>()
  const of = (node: PeerId): NodeUsage => {
    let usage = byNode.get(node)
    if (!usage) {
      usage = {
        ...{ milliCpus: 0, memoryBytes: 0, storageBytes: 0, allocations: 0 },
        ...{ gpuUuids: new Set(), groups: new Set() },
      }
      byNode.set(node, usage)
    }
    return usage
  }
  const add = (node: PeerId, slot: SlotId, resources: Resources): void => {
    const usage = of(node)
    usage.milliCpus += resources.milliCpus
    usage.memoryBytes += resources.memoryBytes
    usage.storageBytes += resources.storageBytes
    usage.allocations++
    for (const uuid of resources.gpuUuids) usage.gpuUuids.add(uuid)
    usage.groups.add(parseSlotId(slot).group)
  }
  const known = new Set<string>()
  const count = (slot: SlotId, { node, fence, resources }: Placement): void => {
    known.add(`${node} ${slot} ${fence.term}.${fence.epoch}`)
    add(node, slot, resources)
  }
  for (const { slot, placement, leaving } of slots) {
    if (placement) count(slot, placement)
    for (const old of leaving) if (nodes.get(old.node)?.connected) count(slot, old)
  }
  for (const view of nodes.values()) {
    if (!view.connected) continue
    for (const [slot, { fence }] of view.held) {
      if (known.has(`${view.node} ${slot} ${fence.term}.${fence.epoch}`)) continue
      const usage = of(view.node)
      usage.allocations++
      usage.groups.add(parseSlotId(slot).group)
    }
  }
  return { of, add }
}
