/**
 * What a plan reads beside the records: which records belong to a group, which nodes have room, and
 * what to look at. Production keeps it up to date as things change and looks at what changed; a plan
 * that is given none builds it from all there is and looks at everything, to the same end.
 */
import { type GroupId, type PeerId, parseSlotId } from '../../protocol/ids.ts'
import { Fleet } from '../scheduler/index.ts'
import type { SlotRecord, SlotsInput } from '../slots/index.ts'

export type PlanIndex = Readonly<{
  recordsOf: (group: GroupId) => readonly SlotRecord[]
  fleet: Fleet
  /** The groups and nodes to look at; of others nothing is planned. */
  groups: Iterable<GroupId>
  nodes: Iterable<PeerId>
}>

/** Everything, from nothing. */
export function indexAll({ groups, slots, nodes }: SlotsInput): PlanIndex {
  const byGroup = new Map<GroupId, SlotRecord[]>()
  const byNode = new Map<PeerId, Set<SlotRecord>>()
  for (const group of groups.keys()) byGroup.set(group, [])
  for (const record of slots.values()) {
    const { group } = parseSlotId(record.slot)
    const records = byGroup.get(group) ?? []
    records.push(record)
    byGroup.set(group, records)
    for (const node of nodesOf(record)) {
      byNode.set(node, (byNode.get(node) ?? new Set()).add(record))
    }
  }
  return {
    recordsOf: (group) => byGroup.get(group) ?? [],
    fleet: new Fleet({ nodes, recordsOn: (node) => byNode.get(node) ?? [] }),
    groups: byGroup.keys(),
    nodes: nodes.keys(),
  }
}

/** The nodes that a record names. */
export function nodesOf({ placement, leaving }: SlotRecord): readonly PeerId[] {
  const nodes = leaving.map(({ node }) => node)
  return placement ? [placement.node, ...nodes] : nodes
}
