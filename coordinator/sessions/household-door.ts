/**
 * How many nodes of one household may be here, and how the work that a household may have is shared
 * among them. Without it a thousand identities on one PC would be given a thousand PCs' work.
 */
import type { PeerId } from '../../protocol/ids.ts'
import { shareOut } from '../reputation/index.ts'
import { SessionRefusedError } from './errors.ts'

export type HouseholdLimits = Readonly<{ nodesMax: number; allocationsMax: number }>

/** A node that came, as the door sees it. */
export type Visitor = {
  readonly node: PeerId
  readonly toldAllocations: number
  /** What it may run at once, by its household's share. */
  allocationsShare: number
}

export interface HouseholdDoor {
  /** @throws {SessionRefusedError} HOUSEHOLD_FULL */
  enter(household: string, visitor: Visitor): void
  /** It may lend more or less than before. */
  changed(node: PeerId): void
  leave(node: PeerId): void
}

export function createHouseholdDoor({ nodesMax, allocationsMax }: HouseholdLimits): HouseholdDoor {
  const inside = new Map<string, Map<PeerId, Visitor>>()
  const householdOf = new Map<PeerId, string>()

  const share = (household: string): void => {
    const visitors = [...(inside.get(household)?.values() ?? [])]
    const members = visitors.map(({ node, toldAllocations }, at) => ({
      ...{ node, sinceMs: at, allocationsMax: toldAllocations },
    }))
    const shares = shareOut(members, allocationsMax)
    for (const visitor of visitors) visitor.allocationsShare = shares.get(visitor.node) ?? 0
  }
  const leave = (node: PeerId): void => {
    const household = householdOf.get(node)
    if (household === undefined) return
    householdOf.delete(node)
    const visitors = inside.get(household)
    visitors?.delete(node)
    if (visitors?.size === 0) inside.delete(household)
    else share(household)
  }
  return {
    enter(household, visitor) {
      const { node } = visitor
      if (householdOf.get(node) !== household) leave(node)
      const visitors = inside.get(household) ?? new Map<PeerId, Visitor>()
      // Behind a relay many homes show one address: they share its work, and are let in.
      const isKnown = !household.startsWith('unknown ')
      if (isKnown && visitors.size >= nodesMax && !visitors.has(node)) {
        throw new SessionRefusedError(
          'HOUSEHOLD_FULL',
          `${visitors.size} nodes of ${household} are here already; the operator may allow more ` +
            '(trust.household_nodes), or map a company’s addresses in the network file',
        )
      }
      visitors.set(node, visitor)
      inside.set(household, visitors)
      householdOf.set(node, household)
      share(household)
    },
    changed(node) {
      const household = householdOf.get(node)
      if (household !== undefined) share(household)
    },
    leave,
  }
}
