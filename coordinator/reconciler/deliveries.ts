/**
 * Orders and revocations on their way to nodes. A plan asks for them again until the world shows
 * them; here the same is not sent again before a beat had time to show it.
 */
import { LRUCache } from 'lru-cache'
import type { Fence, PeerId, SlotId } from '../../protocol/ids.ts'
import type { Logger } from '../../protocol/log/index.ts'
import type { Signed } from '../../protocol/wire/index.ts'
import type { AuditRecorder } from '../audit/index.ts'
import { type OrderSigner, orderHash } from '../orders/index.ts'
import type { Sessions } from '../sessions/index.ts'
import type { Placement } from '../slots/index.ts'

export interface Deliveries {
  order(slot: SlotId, placement: Pick<Placement, 'node' | 'fence' | 'order'>): void
  revoke(slot: SlotId, at: Readonly<{ node: PeerId; fence: Fence; reason: string }>): void
  /** Drops what was sent too long ago to matter. */
  forget(): void
}

/** Longer than a beat: what the next beat shows need not be sent again. */
const resendMs = 6_000
/** Revocations that are in the audit log already; they are sent again until a node obeys. */
const recordedMax = 20_000

export function createDeliveries({
  sessions,
  signer,
  audit,
  stats,
  nowMs,
  logger,
}: Readonly<{
  sessions: Pick<Sessions, 'send'>
  signer: Pick<OrderSigner, 'revocation'>
  /** Absent: nothing is recorded, as in tests. */
  audit?: AuditRecorder
  stats?: { revocations: number }
  nowMs: () => number
  logger?: Logger
}>): Deliveries {
  const sentMs = new Map<string, number>()
  const recorded = new LRUCache<string, true>({ max: recordedMax })

  /** Sends unless the same was sent a moment ago. */
  const sendOnce = (
    kind: 'order' | 'revoke',
    slot: SlotId,
    { node, fence }: Readonly<{ node: PeerId; fence: Fence }>,
    send: () => boolean,
  ): void => {
    const key = `${kind} ${node} ${slot} ${fence.term}.${fence.epoch}`
    const now = nowMs()
    if (now - (sentMs.get(key) ?? Number.NEGATIVE_INFINITY) < resendMs) return
    if (send()) sentMs.set(key, now)
  }
  /**
   * Right after it was sent: to wait for the disk would let a container run on that must stop. What
   * it ends is on disk with its slot, so a crash in between brings it again.
   */
  const record = (
    slot: SlotId,
    { node, fence, reason }: Readonly<{ node: PeerId; fence: Fence; reason: string }>,
    revocation: Signed,
  ): void => {
    const key = `${node} ${slot} ${fence.term}.${fence.epoch}`
    if (recorded.has(key)) return
    recorded.set(key, true)
    if (stats) stats.revocations += 1
    if (!audit) return
    const facts = { slot, node, ...fence, reason, order: orderHash(revocation) }
    audit.record([{ kind: 'revocation', by: 'coordinator', facts }]).catch((error: unknown) => {
      recorded.delete(key)
      logger?.error({ slot, node, error }, 'a revocation is not in the audit log yet')
    })
  }
  return {
    order(slot, placement) {
      const { node, order } = placement
      sendOnce('order', slot, placement, () => sessions.send(node, { type: 'order', order }))
    },
    revoke(slot, { node, fence, reason }) {
      sendOnce('revoke', slot, { node, fence }, () => {
        const revocation = signer.revocation({ slot, fence, node, reason })
        const isSent = sessions.send(node, { type: 'revoke', revocation })
        if (isSent) record(slot, { node, fence, reason }, revocation)
        return isSent
      })
    },
    forget() {
      const beforeMs = nowMs() - resendMs
      for (const [key, atMs] of sentMs) if (atMs < beforeMs) sentMs.delete(key)
    },
  }
}
