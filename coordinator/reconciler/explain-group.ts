/** Why a group's replicas stand where they stand, and where the next goes, or why nowhere. */
import { type PeerId, parseSlotId } from '../../protocol/ids.ts'
import {
  type Explanation,
  explainPlacement,
  type Fleet,
  planUsage,
  type ScoreParts,
  scorePartsOf,
  spreadOf,
  totalOf,
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

/** A slot's node as it would be scored now, beside the group's other slots. */
export type PlacedScore = Readonly<{ slot: number; node: PeerId; score: number; parts: ScoreParts }>

export type GroupExplanation = Explanation & Readonly<{ placed: readonly PlacedScore[] }>

export function explainGroup(
  target: GroupTarget,
  records: readonly SlotRecord[],
  { fleet, nowMs }: Readonly<{ fleet: Fleet; nowMs: number }>,
): GroupExplanation {
  const spread = spreadOf(
    records.flatMap(({ placement }) => (placement ? [placement.node] : [])),
    (node) => fleet.get(node)?.domains,
  )
  const explanation = explainPlacement(target, {
    ...{ fleet, usage: planUsage((node) => fleet.get(node)?.usage), keysPlanned: new Map() },
    ...{ excluded: excludedOf(records, nowMs), spread },
  })
  const placed = records.flatMap(({ slot, placement }) => {
    const entry = placement && fleet.get(placement.node)
    if (!entry) return []
    const { node, view, usage: used, domains } = entry
    const neighbours = Math.max(0, spread.neighbours(domains) - 1) // without itself
    const parts = scorePartsOf({ view, target, used, neighbours })
    return [{ slot: parseSlotId(slot).number, node, score: totalOf(parts), parts }]
  })
  return { ...explanation, placed: placed.sort((a, b) => a.slot - b.slot) }
}
