import { expect } from 'chai'
import type { Epoch, Fence, PeerId, SlotId, Term } from '../../protocol/ids.ts'
import { createDeliveries } from './deliveries.ts'

const slot = '00000000-0000-4000-8000-000000000001/0' as SlotId
const node = 'node' as PeerId
const order = { payload: new Uint8Array(1), signature: new Uint8Array(64) }
const fenceOf = (epoch: number): Fence => ({ term: 1 as Term, epoch: epoch as Epoch })

describe('coordinator/reconciler: deliveries', () => {
  let nowMs: number
  let isHere: boolean
  let sent: string[]
  const open = () =>
    createDeliveries({
      nowMs: () => nowMs,
      signer: { revocation: () => order },
      sessions: {
        send(to, { type }) {
          if (isHere) sent.push(`${type} ${to}`)
          return isHere
        },
      },
    })

  beforeEach(() => {
    nowMs = 0
    isHere = true
    sent = []
  })

  it('sends the same again only when a beat had time to show it', () => {
    const deliveries = open()
    const deliver = (): void => deliveries.order(slot, { node, order, fence: fenceOf(1) })
    deliver()
    nowMs = 5_999
    deliveries.forget()
    deliver()
    expect(sent).to.have.length(1)
    nowMs = 6_000
    deliver()
    expect(sent).to.have.length(2)
  })

  it('sends another epoch and a revocation at once', () => {
    const deliveries = open()
    deliveries.order(slot, { node, order, fence: fenceOf(1) })
    deliveries.order(slot, { node, order, fence: fenceOf(2) })
    deliveries.revoke(slot, { node, fence: fenceOf(1), reason: 'moved' })
    expect(sent).to.deep.equal(['order node', 'order node', 'revoke node'])
  })

  it('counts as sent only what found a stream', () => {
    const deliveries = open()
    isHere = false
    deliveries.order(slot, { node, order, fence: fenceOf(1) })
    isHere = true
    deliveries.order(slot, { node, order, fence: fenceOf(1) })
    expect(sent).to.deep.equal(['order node'])
  })
})
