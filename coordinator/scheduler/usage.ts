/** What is spoken for on a node: by placements, by what is leaving, by what nobody ordered. */
import type { Fence, GroupId, PeerId, SlotId } from '../../protocol/ids.ts'
import { compareFence, parseSlotId } from '../../protocol/ids.ts'
import type { Resources } from '../../protocol/orders/index.ts'
import type { Claim, NodeView, SlotRecord } from '../slots/index.ts'

export type NodeUsage = {
  milliCpus: number
  memoryBytes: number
  storageBytes: number
  allocations: number
  readonly gpuUuids: Set<string>
  readonly groups: Set<GroupId>
  /** For whom a lower group's instance is being stopped here. */
  claim?: Claim
}

export function emptyUsage(): NodeUsage {
  return {
    ...{ milliCpus: 0, memoryBytes: 0, storageBytes: 0, allocations: 0 },
    ...{ gpuUuids: new Set(), groups: new Set() },
  }
}

function addTo(usage: NodeUsage, slot: SlotId, resources: Resources): void {
  usage.milliCpus += resources.milliCpus
  usage.memoryBytes += resources.memoryBytes
  usage.storageBytes += resources.storageBytes
  usage.allocations++
  for (const uuid of resources.gpuUuids) usage.gpuUuids.add(uuid)
  usage.groups.add(parseSlotId(slot).group)
}

/**
 * Counted from the records that name the node and from what it shows. What leaves a node that is
 * away is not counted: the node is no candidate, and when it returns it shows what it holds.
 */
export function usageOf(view: NodeView, records: Iterable<SlotRecord>): NodeUsage {
  const usage = emptyUsage()
  const known = new Map<SlotId, Fence[]>()
  for (const { slot, placement, leaving } of records) {
    for (const at of placement ? [placement, ...leaving] : leaving) {
      if (at.node !== view.node) continue
      if (at !== placement && !view.connected) continue
      const fences = known.get(slot)
      if (fences) fences.push(at.fence)
      else known.set(slot, [at.fence])
      addTo(usage, slot, at.resources)
    }
    for (const { node, claim } of leaving) {
      if (node === view.node && view.connected && claim) usage.claim = claim
    }
  }
  if (!view.connected) return usage
  for (const [slot, { fence }] of view.held) {
    if (known.get(slot)?.some((own) => compareFence(own, fence) === 0)) continue
    usage.allocations++
    usage.groups.add(parseSlotId(slot).group)
  }
  return usage
}

export interface Usage {
  of(node: PeerId): Readonly<NodeUsage>
  /** Counts what a plan gives away, for the rest of that plan. */
  add(node: PeerId, slot: SlotId, resources: Resources): void
}

/** What is used, and what a plan adds to it; the base stays as it is. */
export function planUsage(
  base: (node: PeerId) => Readonly<NodeUsage> | undefined,
  /** Nodes that are kept for somebody. */
  kept: ReadonlyMap<PeerId, Claim> = new Map(),
): Usage {
  const changed = new Map<PeerId, NodeUsage>()
  for (const [node, claim] of kept) changed.set(node, { claim, ...(base(node) ?? emptyUsage()) })
  return {
    of: (node) => changed.get(node) ?? base(node) ?? emptyUsage(),
    add(node, slot, resources) {
      const before = changed.get(node) ?? base(node) ?? emptyUsage()
      const { gpuUuids, groups } = before
      const usage = { ...before, gpuUuids: new Set(gpuUuids), groups: new Set(groups) }
      addTo(usage, slot, resources)
      changed.set(node, usage)
    },
  }
}
