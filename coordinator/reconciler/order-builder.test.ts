import { expect } from 'chai'
import type { BundleId, PeerId } from '../../protocol/ids.ts'
import { MessageTooLargeError } from '../../protocol/wire/index.ts'
import { emptySlot } from '../slots/index.ts'
import { createOrderBuilder, type OrderBuilderComponents } from './order-builder.ts'

const node = 'node' as PeerId
const slot = '00000000-0000-4000-8000-000000000001/0' as never
const group = { container: { command: [] }, extension: {} } as never

describe('coordinator/reconciler/order-builder', () => {
  const build = (signer: object, keys: Uint8Array[]) =>
    createOrderBuilder({
      signer: { term: 1, encodeSecrets: () => new Uint8Array(), ...signer } as never,
      sessions: {
        takeKey: () => keys.pop(),
        giveBackKey: (peer, key) => {
          expect(peer).to.equal(node)
          keys.push(key)
        },
      },
      holders: { hintsFor: () => [] },
      images: {
        bundleOf: () => 'b'.repeat(64) as BundleId,
        bundle: () => ({}) as never,
        manifestOf: () => ({}) as never,
        openBlobs: () => [],
      },
      groups: { openEnv: () => ({}) } as OrderBuilderComponents['groups'],
      wallMs: () => 0,
    }).allocate(emptySlot(slot), { node, gpuUuids: [], group })
  const tooLarge = (): never => {
    throw new MessageTooLargeError('allocation', 2, 1)
  }
  const signed = { order: {}, issuedMs: 1, acceptUntilMs: 2, leaseEndMs: 2, ticketExpiresMs: 3 }

  it('uses up no one-time key for an order that cannot be made', () => {
    const key = new Uint8Array(32)
    for (const signer of [
      { sealSecrets: tooLarge },
      { sealSecrets: () => ({}), allocation: tooLarge },
    ]) {
      const keys = [key]
      expect(() => build(signer, keys)).to.throw(MessageTooLargeError)
      expect(keys).to.deep.equal([key])
    }
    const keys = [key]
    const made = build({ sealSecrets: () => ({}), allocation: () => signed }, keys)
    expect(made?.placement.node).to.equal(node)
    expect(keys).to.have.length(0)
  })
})
