/**
 * Which leases a beat renews: those of the newest epoch of a slot, on the node that beats, and of
 * nothing that is being given away.
 */
import type { InstanceReport } from '../../protocol/control/index.ts'
import { compareFence, type PeerId, type SlotId } from '../../protocol/ids.ts'
import { isFinal } from './leaving.ts'
import type { Placement, SlotRecord } from './records.ts'

export type RenewalContext = Readonly<{
  slots: ReadonlyMap<SlotId, SlotRecord>
  /** Slots whose record is being changed: their old epoch must not be renewed meanwhile. */
  changing: ReadonlySet<SlotId>
}>

/** `state`: as the beat shows it. */
type Renewable = Readonly<{ slot: SlotId; placement: Placement; state: InstanceReport['state'] }>

/** The placements whose lease `node` keeps by this beat. */
export function renewable(
  node: PeerId,
  reports: Iterable<InstanceReport>,
  { slots, changing }: RenewalContext,
): readonly Renewable[] {
  const renewed: Renewable[] = []
  for (const report of reports) {
    const { slot } = report
    const placement = slots.get(slot)?.placement
    if (!placement || placement.node !== node || changing.has(slot)) continue
    if (compareFence(report, placement.fence) !== 0 || isFinal(report.state)) continue
    renewed.push({ slot, placement, state: report.state })
  }
  return renewed
}
