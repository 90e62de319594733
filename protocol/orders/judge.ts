/**
 * Whether a genuine order applies to this peer, now. Pure: the caller brings the coordinator's
 * time (its offset to the boot clock, never the wall clock) and what it has persisted.
 */
import { type BundleId, compareFence, type Fence, type PeerId } from '../ids.ts'
import { OrderRefusedError } from './errors.ts'
import type { Allocation, BanList, Revocation, Roster, Ticket } from './schemas.ts'

/** How far two clocks may be apart; leases.md. */
export const skewMs = 2_000

/** What a node has persisted of a slot. */
export type SlotMemory = Readonly<{
  /** The highest ever seen for the slot. */
  fence: Fence
  /** SHA-256 (hex) of the payload of the order that brought it; absent after a revocation. */
  orderHash?: string
}>

export type AllocationContext = Readonly<{
  self: PeerId
  /** The coordinator's time. */
  nowMs: number
  memory: SlotMemory | undefined
  /** SHA-256 (hex) of this order's payload. */
  orderHash: string
}>

/**
 * 'new' to be persisted and run, or 'redelivered': byte-identical to the one already taken.
 * @throws {OrderRefusedError} WRONG_AUDIENCE, NOT_YET_VALID, EXPIRED, STALE_EPOCH, CONFLICTING_ORDER
 */
export function judgeAllocation(
  order: Allocation,
  { self, nowMs, memory, orderHash }: AllocationContext,
): 'new' | 'redelivered' {
  if (order.node !== self) {
    throw new OrderRefusedError('WRONG_AUDIENCE', `order for node ${order.node}, not for this one`)
  }
  const age = memory ? compareFence(order, memory.fence) : 1
  if (memory && age < 0) {
    throw new OrderRefusedError(
      'STALE_EPOCH',
      `order of epoch ${order.term}.${order.epoch} of slot ${order.slot}; ` +
        `${memory.fence.term}.${memory.fence.epoch} was seen`,
    )
  }
  if (memory && age === 0) {
    if (memory.orderHash === orderHash) return 'redelivered'
    throw new OrderRefusedError(
      'CONFLICTING_ORDER',
      `another order of epoch ${order.term}.${order.epoch} of slot ${order.slot} was taken`,
    )
  }
  if (nowMs + skewMs < order.notBeforeMs) {
    throw new OrderRefusedError('NOT_YET_VALID', `order holds only from ${order.notBeforeMs} ms`)
  }
  if (nowMs > order.acceptUntilMs) {
    throw new OrderRefusedError('EXPIRED', `order had to be taken by ${order.acceptUntilMs} ms`)
  }
  return 'new'
}

/** Passes what ends an epoch here. @throws {OrderRefusedError} WRONG_AUDIENCE, STALE_EPOCH (a newer epoch of the slot is known). */
export function judgeRevocation(
  order: Revocation,
  { self, memory }: { readonly self: PeerId; readonly memory: SlotMemory | undefined },
): void {
  if (order.node !== self) {
    throw new OrderRefusedError('WRONG_AUDIENCE', `revocation for node ${order.node}`)
  }
  if (memory && compareFence(order, memory.fence) < 0) {
    throw new OrderRefusedError('STALE_EPOCH', `revocation of an older epoch of ${order.slot}`)
  }
}

/** Passes a ticket that opens this bundle to this peer now. @throws {OrderRefusedError} WRONG_AUDIENCE, WRONG_BUNDLE, EXPIRED */
export function judgeTicket(
  ticket: Ticket,
  context: { readonly peer: PeerId; readonly bundle: BundleId; readonly nowMs: number },
): void {
  if (ticket.peer !== context.peer) {
    throw new OrderRefusedError('WRONG_AUDIENCE', `ticket of peer ${ticket.peer}`)
  }
  if (ticket.bundle !== context.bundle) {
    throw new OrderRefusedError('WRONG_BUNDLE', `ticket for bundle ${ticket.bundle}`)
  }
  if (context.nowMs > ticket.expiresMs + skewMs) {
    throw new OrderRefusedError('EXPIRED', `ticket expired at ${ticket.expiresMs} ms`)
  }
}

/** Whether `offered` is newer than what is held. @throws {OrderRefusedError} STALE_LIST: it goes back. */
export function judgeRoster(offered: Roster, held: Roster | undefined): boolean {
  // A restored coordinator numbers its rosters from where its backup was; the operator names them.
  if (held && offered.term > held.term) return true
  return isNewerList('roster', offered, held)
}

/**
 * Whether `offered` is newer than what is held.
 * @throws {OrderRefusedError} STALE_LIST, or BROKEN_CHAIN: it follows the held one but not its hash.
 */
export function judgeBanList(
  offered: BanList,
  held: Readonly<{ list: BanList; hash: Uint8Array }> | undefined,
): boolean {
  const isNewer = isNewerList('ban list', offered, held?.list)
  if (held && offered.number === held.list.number + 1 && !sameBytes(offered.previous, held.hash)) {
    throw new OrderRefusedError('BROKEN_CHAIN', `ban list ${offered.number} denies its forerunner`)
  }
  return isNewer
}

function isNewerList(
  kind: string,
  offered: { readonly number: number },
  held: { readonly number: number } | undefined,
): boolean {
  if (held && offered.number < held.number) {
    throw new OrderRefusedError(
      'STALE_LIST',
      `${kind} ${offered.number}; number ${held.number} is already known`,
    )
  }
  return !held || offered.number > held.number
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}
