/**
 * What a beat's answer renews: the leases of what the node reports, and its tickets before they run
 * out. Without the tickets a home that outlives its first one would be no member of its swarm.
 */
import type { Beat, Renewal } from '../../protocol/control/index.ts'
import {
  compareFence,
  type Fence,
  type GroupId,
  type PeerId,
  parseSlotId,
  type SlotId,
} from '../../protocol/ids.ts'
import type { Groups } from '../groups/index.ts'
import type { Metering } from '../ledger/index.ts'
import { type OrderSigner, ticketMs } from '../orders/index.ts'
import type { Sessions } from '../sessions/index.ts'
import { hasLeft, isFinal, type NodeView, renewable } from '../slots/index.ts'
import type { SlotBook } from './slot-book.ts'

export interface LeaseRenewals {
  /** The leases that a beat renews. */
  renew(peer: PeerId, beat: Pick<Beat, 'instances'>): readonly Renewal[]
  /** An order of the slot brought a ticket, so that the next beats need not. */
  ticketGiven(slot: SlotId, fence: Fence, expiresMs: number): void
}

export function createLeaseRenewals(
  { leaseMs }: Readonly<{ leaseMs: number }>,
  components: Readonly<{
    book: SlotBook
    signer: Pick<OrderSigner, 'ticket'>
    sessions: Pick<Sessions, 'nodes'>
    groups: Pick<Groups, 'byId'>
    /** Absent: nothing is charged, as in tests. */
    metering?: Pick<Metering, 'look'>
    nowMs: () => number
  }>,
): LeaseRenewals {
  const { book, signer, sessions, groups, metering, nowMs } = components
  const tickets = new Map<SlotId, Readonly<{ fence: Fence; expiresMs: number }>>()

  const hasTicket = (slot: SlotId, fence: Fence, helloMs: number): boolean => {
    const known = tickets.get(slot)
    return (
      known !== undefined &&
      compareFence(known.fence, fence) === 0 &&
      known.expiresMs - nowMs() > ticketMs / 2 &&
      // What the node had before its hello may be lost to it.
      known.expiresMs - ticketMs > helloMs
    )
  }
  const renewals: LeaseRenewals = {
    renew(peer, { instances }) {
      const atMs = nowMs()
      const leaseEndMs = atMs + leaseMs
      const renewed: Renewal[] = []
      const node = sessions.nodes.get(peer)
      for (const { slot, placement, state, isNewest } of renewable(peer, instances, book)) {
        if (node && hasLeft(node, slot)) continue
        const { fence, bundle } = placement
        if (isNewest) {
          book.setLease(slot, fence, leaseEndMs)
          metering?.look(slot, placement, state, atMs)
        }
        const renewal: Renewal = { slot, ...fence, leaseEndMs }
        if (isNewest && !hasTicket(slot, fence, node?.helloMs ?? 0)) {
          const { ticket, expiresMs } = signer.ticket(peer, bundle)
          renewals.ticketGiven(slot, fence, expiresMs)
          renewal.ticket = ticket
        }
        renewed.push(renewal)
      }
      const isUnknown = (group: GroupId): boolean => !groups.byId(group) && !book.isRetired(group)
      return [...renewed, ...strays(node, instances, isUnknown, leaseEndMs)]
    },
    ticketGiven(slot, fence, expiresMs) {
      tickets.set(slot, { fence, expiresMs })
    },
  }
  return renewals
}

/**
 * Orders of ours for groups that no record knows: the backup is older than they are. They are held,
 * renewed and nothing else, until the operator decides. Only what was shown signed counts.
 */
function strays(
  node: NodeView | undefined,
  instances: Beat['instances'],
  isUnknown: (group: GroupId) => boolean,
  leaseEndMs: number,
): readonly Renewal[] {
  return instances.flatMap(({ slot, term, epoch, state }) => {
    if (!node?.held.get(slot)?.order || isFinal(state)) return []
    return isUnknown(parseSlotId(slot).group) ? [{ slot, term, epoch, leaseEndMs }] : []
  })
}
