/**
 * Orders and revocations on their way to nodes. A plan asks for them again until the world shows
 * them; here the same is not sent again before a beat had time to show it.
 */
import type { Fence, PeerId, SlotId } from '../../protocol/ids.ts'
import type { OrderSigner } from '../orders/index.ts'
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

export function createDeliveries({
  sessions,
  signer,
  nowMs,
}: Readonly<{
  sessions: Pick<Sessions, 'send'>
  signer: Pick<OrderSigner, 'revocation'>
  nowMs: () => number
}>): Deliveries {
  const sentMs = new Map<string, number>()

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
  return {
    order(slot, placement) {
      const { node, order } = placement
      sendOnce('order', slot, placement, () => sessions.send(node, { type: 'order', order }))
    },
    revoke(slot, { node, fence, reason }) {
      sendOnce('revoke', slot, { node, fence }, () =>
        sessions.send(node, {
          type: 'revoke',
          revocation: signer.revocation({ slot, fence, node, reason }),
        }),
      )
    },
    forget() {
      const beforeMs = nowMs() - resendMs
      for (const [key, atMs] of sentMs) if (atMs < beforeMs) sentMs.delete(key)
    },
  }
}
