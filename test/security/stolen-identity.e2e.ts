/**
 * One who stole the coordinator's identity: nodes talk to it, and do nothing that it says without
 * the key that signs orders.
 */
import { randomBytes } from 'node:crypto'
import { expect } from 'chai'
import { identityFromSeed, loadSeed } from '../../protocol/identity/index.ts'
import type { Epoch, PeerId, Term } from '../../protocol/ids.ts'
import {
  type Allocation,
  banListCodec,
  revocationCodec,
  rosterCodec,
  termCertificateCodec,
} from '../../protocol/orders/index.ts'
import { createSigner, type Signer } from '../../protocol/signing/index.ts'
import type { Signed } from '../../protocol/wire/index.ts'
import { until } from './api.ts'
import { orderPayload } from './forged-order.ts'
import { type Impostor, startImpostor } from './impostor.ts'
import { type KeptGroup, startKeptGroup } from './kept-group.ts'

describe('one who stole the identity, not the order key', function () {
  this.timeout(120_000)
  const orderKey = createSigner(new Uint8Array(randomBytes(32)))
  let kept: KeptGroup
  let impostor: Impostor
  let node: PeerId
  before(async () => {
    kept = await startKeptGroup()
    impostor = await startImpostor(kept)
    node = kept.runner.peer as PeerId
  })
  after(async () => {
    await impostor?.stop()
    await kept?.stop()
  })

  it('is not obeyed: a few dozen forged orders start nothing', async () => {
    const { target, network, slot, stranger, instance, runner } = kept
    const seed = await loadSeed(`${target.run.path}/coordinator/identity.key`)
    expect((await identityFromSeed(seed)).peer).to.equal(target.coordinator.peer)
    const signers: Signer[] = [orderKey, createSigner(seed), stranger.signer]
    const shapes: Partial<Allocation>[] = [
      {},
      { slot, epoch: 100 as Epoch },
      { slot, epoch: (2 ** 40) as Epoch, term: 9 as Term },
      { strict: true, restart: 'never' },
    ]
    const forged: Signed[] = signers.flatMap((signer) =>
      shapes.flatMap((shape) => {
        const payload = orderPayload({ network: network.network, node }, shape)
        const good = signer.sign('allocation', payload)
        return [
          good,
          signer.sign('ticket', payload),
          { payload, signature: new Uint8Array(64) },
          { payload, signature: good.signature.toReversed() },
        ]
      }),
    )
    expect(forged.length).to.be.greaterThan(36)
    const from = impostor.heard.length
    for (const order of forged) await impostor.send({ type: 'order', order })
    await impostor.say({ type: 'order', order: forged[0]! })
    const answers = impostor.heard.slice(from).filter(({ type }) => type === 'order-answer')
    for (const answer of answers) expect(answer).to.have.nested.property('refusal.code')
    const running = impostor.instances().map((report) => report.instance)
    expect(running).to.deep.equal([instance.id])
    const refused = (await runner.log()).filter(({ msg }) => msg === 'an order was refused')
    expect(refused.length + answers.length).to.be.greaterThanOrEqual(forged.length)
  })

  it('stops nothing, bans nobody, certifies nobody', async () => {
    const { target, network, slot, stranger } = kept
    const facts = { v: 1, network: network.network, term: 1 as Term, issuedMs: Date.now() } as const
    const revocation = revocationCodec.encode({
      ...{ ...facts, slot, epoch: (2 ** 40) as Epoch, node },
      ...{ nonce: new Uint8Array(16), graceMs: 0, reason: 'theirs' },
    })
    await impostor.say({ type: 'revoke', revocation: orderKey.sign('revocation', revocation) })
    const ban = { peer: target.cache.peer as PeerId, reason: 'theirs', sinceMs: 1 }
    const bans = { ...facts, number: 5_000, previous: new Uint8Array(32), bans: [ban] }
    const signedBans = orderKey.sign('ban-list', banListCodec.encode(bans))
    await impostor.say({ type: 'lists', bans: signedBans })
    const members = [{ peer: stranger.peer, role: 'cache' as const, addrs: [] }]
    const roster = rosterCodec.encode({ ...facts, number: 5_000, members })
    await impostor.say({ type: 'lists', roster: orderKey.sign('roster', roster) })
    expect(impostor.instances().map(({ state }) => state)).to.deep.equal(['running'])
    const certificate = termCertificateCodec.encode({
      ...{ ...facts, term: 2 as Term, coordinator: stranger.peer, orderKey: orderKey.publicKey },
    })
    const from = impostor.heard.length
    await impostor.say({
      ...(await impostor.welcome()),
      certificate: orderKey.sign('term-certificate', certificate),
    })
    impostor.hangUp()
    await until('it says hello again', () =>
      impostor.heard.slice(from).some(({ type }) => type === 'hello'),
    )
    const hello = impostor.heard.findLast(({ type }) => type === 'hello')
    expect(hello).to.deep.include({ term: 1, banNumber: 0, rosterNumber: 1_000 })
  })
})
