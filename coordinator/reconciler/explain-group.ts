/** Why a group's next replica goes where it goes, from its records and what is free now. */
import type { PeerId } from '../../protocol/ids.ts'
import {
  type Explanation,
  explainPlacement,
  type Fleet,
  planUsage,
  spreadOf,
} from '../scheduler/index.ts'
import type { GroupTarget, SlotRecord } from '../slots/index.ts'

/** Nodes where something of the group failed not long ago. */
export function excludedOf(records: readonly SlotRecord[], nowMs: number): ReadonlySet<PeerId> {
  const excluded = new Set<PeerId>()
  for (const { exclusions } of records) {
    for (const { node, untilMs } of exclusions) if (untilMs > nowMs) excluded.add(node)
  }
  return excluded
}

export function explainGroup(
  target: GroupTarget,
  records: readonly SlotRecord[],
  { fleet, nowMs }: Readonly<{ fleet: Fleet; nowMs: number }>,
): Explanation {
  const placed = records.flatMap(({ placement }) => (placement ? [placement.node] : []))
  return explainPlacement(target, {
    ...{ fleet, usage: planUsage((node) => fleet.get(node)?.usage), keysPlanned: new Map() },
    excluded: excludedOf(records, nowMs),
    spread: spreadOf(placed, (node) => fleet.get(node)?.domains),
  })
}
