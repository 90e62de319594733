/**
 * What a peer's hello proves against this coordinator's store. Only signatures count: what a peer
 * merely says of numbers proves nothing.
 */
import type { Hello } from '../../protocol/control/index.ts'
import {
  compareFence,
  type GroupId,
  type PeerId,
  parseSlotId,
  type SlotId,
} from '../../protocol/ids.ts'
import { type Pulse, pulseCodec } from '../../protocol/orders/index.ts'
import { isSignedBy } from '../../protocol/signing/index.ts'
import type { SlotRecord } from '../slots/index.ts'
import type { Doubt } from './authority.ts'
import type { Terms } from './terms.ts'

export type StoreFacts = Readonly<{
  terms: Terms
  slots: ReadonlyMap<SlotId, SlotRecord>
  isRetired: (group: GroupId) => boolean
  /** Our signature, and not of this store. */
  isForeign: (pulse: Pulse) => boolean
}>

/** Why this coordinator must not order any more, if the hello proves it. */
export function inspectHello(
  peer: PeerId,
  hello: Hello,
  facts: StoreFacts,
): Pick<Doubt, 'kind' | 'evidence'> | undefined {
  const { terms, slots, isRetired } = facts
  const { term, orderKey, network } = terms.current
  if (hello.certificate && terms.isSucceededBy(hello.certificate)) {
    return { kind: 'deposed', evidence: `${peer} shows a certificate of a later term` }
  }
  if (hello.pulse && isSignedBy('pulse', hello.pulse, orderKey)) {
    const pulse = pulseCodec.decode(hello.pulse.payload)
    const isOurs = pulse.term === term && pulse.network === network
    if (isOurs && facts.isForeign(pulse)) {
      return { kind: 'gone-back', evidence: `${peer} shows pulse ${pulse.number}` }
    }
  }
  for (const { order } of hello.held) {
    const held = terms.openAllocation(order)
    // Those of older terms are what a restore is there to find.
    if (!held || held.term !== term || held.node !== peer) continue
    const record = slots.get(held.slot)
    const isKnown = record?.fence
      ? compareFence(held, record.fence) <= 0
      : isRetired(parseSlotId(held.slot).group)
    if (!isKnown) {
      return { kind: 'gone-back', evidence: `${peer} shows epoch ${held.epoch} of ${held.slot}` }
    }
  }
  return undefined
}
