/**
 * How a placement stands, judged from what its node shows now and from its lease alone: no event
 * needs to have been seen. What decides between "wait" and "give the slot away" is here.
 */
import type { Fault } from '../../protocol/control/index.ts'
import { compareFence } from '../../protocol/ids.ts'
import type { RestartPolicy } from '../../protocol/orders/index.ts'
import type { Placement } from './records.ts'
import { type Held, hasLeft, type LeaseNumbers, type NodeView } from './views.ts'

export type Standing =
  /** The node has it, or may have it: its lease is running. */
  | Readonly<{ is: 'held' }>
  /** The node is there and has not taken the order yet: it can still be delivered. */
  | Readonly<{ is: 'unsent' }>
  /** It ended, and the restart policy is content. */
  | Readonly<{ is: 'finished'; exitCode: number }>
  /** The node gave up on it, or refused it. */
  | Readonly<{ is: 'failed'; fault: Fault }>
  /** A strict one that stopped when its lease lapsed, on a node that is back: it starts again there. */
  | Readonly<{ is: 'paused' }>
  /** Certainly not running under a lease; nothing to wait for. */
  | Readonly<{ is: 'gone'; reason: string }>
  /** Silent for lease + skew + lost_after. */
  | Readonly<{ is: 'lapsed' }>

export type StandingContext = Readonly<{
  node: NodeView | undefined
  nowMs: number
  leaseEndMs: number
  lostAfterMs: number
  restart: RestartPolicy
  strict?: boolean | undefined
  numbers: LeaseNumbers
}>

/** Whether `held` is this very epoch. */
export function isSameEpoch(a: Pick<Held, 'fence'> | undefined, b: Pick<Placement, 'fence'>) {
  return a !== undefined && compareFence(a.fence, b.fence) === 0
}

export function standingOf(
  slot: Parameters<NodeView['held']['get']>[0],
  placement: Placement,
  context: StandingContext,
): Standing {
  const { node, nowMs, leaseEndMs, lostAfterMs, numbers } = context
  if (node?.banned) return { is: 'gone', reason: 'the node is banned' }
  if (node && hasLeft(node, slot)) return { is: 'gone', reason: 'the node said goodbye' }
  if (node?.connected) {
    const refusal = node.refusals.get(slot)
    if (refusal && isSameEpoch(refusal, placement))
      return standingOfRefused(refusal, placement, node)
    const held = node.held.get(slot)
    if (held && isSameEpoch(held, placement)) return standingOfHeld(held, context)
    const acknowledged = node.acknowledged.get(slot)
    if (acknowledged && compareFence(acknowledged, placement.fence) === 0) {
      return { is: 'gone', reason: 'the node no longer has it' }
    }
    if (nowMs <= placement.acceptUntilMs) return { is: 'unsent' }
    // It may have been taken at the last moment by a clock that is behind, and the word be on its way.
    if (nowMs <= placement.acceptUntilMs + numbers.skewMs) return { is: 'held' }
    return standingOfUntaken(placement, node)
  }
  const lostMs = leaseEndMs + numbers.skewMs + lostAfterMs
  return nowMs > lostMs ? { is: 'lapsed' } : { is: 'held' }
}

/** A daemon that was killed with the order: it has forgotten the key, or knows the epoch as over. */
const lostWithDaemon = new Set(['UNSEAL_FAILED', 'CONFLICTING_ORDER', 'STALE_EPOCH'])

/**
 * Too late to take the order, and the node shows all that it holds at hello and in each beat. One
 * that was here all the while and stays silent would be chosen again for ever if it did not count.
 */
function standingOfUntaken({ issuedMs }: Placement, { helloMs }: NodeView): Standing {
  const message = 'the node did not take the order in time'
  const wasHere = helloMs !== undefined && helloMs < issuedMs
  return wasHere
    ? { is: 'failed', fault: { code: 'ORDER_NOT_TAKEN', message } }
    : { is: 'gone', reason: message }
}

/**
 * An order of before the node's last hello that it can no longer take is no failure of the node: as
 * one it would keep the node out for minutes, and the slot waiting longer with each crash.
 */
function standingOfRefused(
  { fault }: Readonly<{ fault: Fault }>,
  { issuedMs }: Placement,
  { helloMs }: NodeView,
): Standing {
  if (helloMs !== undefined && issuedMs <= helloMs && lostWithDaemon.has(fault.code)) {
    return { is: 'gone', reason: 'the node was restarted and lost the order' }
  }
  return { is: 'failed', fault }
}

function standingOfHeld({ report }: Held, { restart, strict }: StandingContext): Standing {
  const { state, exitCode, fault } = report
  if (state !== 'failed' && state !== 'stopped') return { is: 'held' }
  // Of a strict group: given up only once it has stopped, and neither a failure nor an end.
  if (fault?.code === 'NODE_STOPPING') return { is: 'gone', reason: 'the node stops' }
  // It did as it must when the coordinator is not heard of; neither a failure nor an end.
  if (fault?.code === 'LEASE_LAPSED') {
    return strict ? { is: 'paused' } : { is: 'gone', reason: 'it stopped when its lease lapsed' }
  }
  const isContent =
    exitCode !== undefined && (restart === 'never' || (restart === 'on_failure' && exitCode === 0))
  if (isContent) return { is: 'finished', exitCode }
  if (state === 'stopped' && !fault && exitCode === undefined) {
    return { is: 'gone', reason: 'the node stopped it' }
  }
  return {
    is: 'failed',
    fault: fault ?? { code: 'CONTAINER_EXITED', message: `the container ended (${exitCode})` },
  }
}
