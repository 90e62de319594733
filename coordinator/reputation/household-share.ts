/**
 * A thousand identities of one household get no more work than a household's: what its nodes may run
 * together has a bound, shared out in the order in which they came. A company's LAN is no household:
 * the network file maps its prefix, and each address counts as one.
 */
import type { PeerId } from '../../protocol/ids.ts'

export type HouseholdMember = Readonly<{
  node: PeerId
  /** When it was first seen; the eldest is served first. */
  sinceMs: number
  /** What it says that it can run at once. */
  allocationsMax: number
}>

/** How many allocations each may have at once. */
export function shareOut(
  members: Iterable<HouseholdMember>,
  allocationsMax: number,
): ReadonlyMap<PeerId, number> {
  const byAge = [...members].sort((a, b) => a.sinceMs - b.sinceMs || (a.node < b.node ? -1 : 1))
  const shares = new Map<PeerId, number>()
  let left = allocationsMax
  for (const { node, allocationsMax: wanted } of byAge) {
    const share = Math.min(wanted, left)
    shares.set(node, share)
    left -= share
  }
  return shares
}
