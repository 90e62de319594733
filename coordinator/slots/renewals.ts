/**
 * Which leases a beat renews: those of the newest epoch of a slot, on the node that beats, of an older
 * version until the newer one runs, and of nothing else that is being given away.
 */
import type { InstanceReport } from '../../protocol/control/index.ts'
import { compareFence, type PeerId, type SlotId } from '../../protocol/ids.ts'
import { isFinal, runsOn } from './leaving.ts'
import type { Placement, SlotRecord } from './records.ts'

export type RenewalContext = Readonly<{
  slots: ReadonlyMap<SlotId, SlotRecord>
  /** Slots whose record is being changed: their old epoch must not be renewed meanwhile. */
  changing: ReadonlySet<SlotId>
}>

export type Renewable = Readonly<{
  slot: SlotId
  placement: Placement
  /** As the beat shows it. */
  state: InstanceReport['state']
  /** Not so for one that runs on until its newer version does. */
  isNewest: boolean
}>

/** The placements whose lease `node` keeps by this beat. */
export function renewable(
  node: PeerId,
  reports: Iterable<InstanceReport>,
  { slots, changing }: RenewalContext,
): readonly Renewable[] {
  const renewed: Renewable[] = []
  for (const report of reports) {
    const { slot } = report
    const record = slots.get(slot)
    if (!record || changing.has(slot) || isFinal(report.state)) continue
    const isIt = (at: Placement): boolean =>
      at.node === node && compareFence(report, at.fence) === 0
    const { placement, leaving } = record
    const { state } = report
    if (placement && isIt(placement)) renewed.push({ slot, placement, state, isNewest: true })
    // One that the plan ends, because the slot is not wanted, is revoked before its lease is over.
    const old = leaving.find((one) => isIt(one) && runsOn(one, record, true))
    if (old) renewed.push({ slot, placement: old, state, isNewest: false })
  }
  return renewed
}
