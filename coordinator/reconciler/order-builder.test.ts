import { expect } from 'chai'
import type { BundleId, PeerId } from '../../protocol/ids.ts'
import { drawKeyPair, seal } from '../../protocol/sealing/index.ts'
import { createSigner } from '../../protocol/signing/index.ts'
import { MessageTooLargeError } from '../../protocol/wire/index.ts'
import { fenceOf, termsOf } from '../ledger/ledger.fixture.ts'
import { createOrderSigner } from '../orders/index.ts'
import { emptySlot, type Leaving } from '../slots/index.ts'
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
      groups: { openEnv: () => ({}), byId: () => undefined } as OrderBuilderComponents['groups'],
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

  it('keeps the price of an instance that goes on, and draws one where an order brings none', () => {
    const signer = createOrderSigner({
      ...{ signer: createSigner(new Uint8Array(32).fill(1)), network: '0'.repeat(32) as never },
      ...{ term: 1 as never, nowMs: () => 1_000, leaseMs: 15_000 },
    })
    const builder = createOrderBuilder({
      signer,
      holders: { hintsFor: () => [] },
      groups: { byId: () => group } as never,
      drawTerms: () => termsOf({ microsPerHour: 2 }),
      wallMs: () => 0,
      ...({} as Pick<OrderBuilderComponents, 'sessions' | 'images'>),
    })
    const bundle = 'b'.repeat(64) as BundleId
    const resources = { milliCpus: 1, memoryBytes: 1, storageBytes: 1, shmBytes: 0, gpuUuids: [] }
    const instance = '00000000-0000-4000-8000-000000000009' as never
    const oneTimeKey = drawKeyPair().publicKey
    const peer = '12D3KooWGRUyUmLcYH9LPiJwjkWBNBVdQdzBq3VLUsrPBBuX4yqK' as PeerId
    const { order } = signer.allocation({
      ...{ fence: fenceOf(1), slot, node: peer, instance, bundle, resources, hints: [] },
      ...{ restart: 'always', lostAfterMs: 0, orphanAfterMs: 0, strict: false },
      sealed: seal(new Uint8Array(1), oneTimeKey),
    })
    const leaving = {
      node: peer,
      instance,
      version: 1,
      bundle,
      resources,
      order,
    } as never as Leaving
    const record = { ...emptySlot(slot), fence: fenceOf(1) }
    const priceOf = (from: Leaving) =>
      builder.readopt(record, from).placement.billing?.microsPerHour
    expect(priceOf({ ...leaving, billing: termsOf({ microsPerHour: 1 }) })).to.equal(1)
    expect(priceOf(leaving)).to.equal(2)
  })
})
