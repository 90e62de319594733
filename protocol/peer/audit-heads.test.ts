/** What a peer makes of the coordinator's audit heads, and what it keeps of a coordinator that lies. */
import { expect } from 'chai'
import { type AuditHead, AuditProofSchema, auditHeadCodec, openAuditProof } from '../audit/index.ts'
import { errorCode } from '../errors.ts'
import { createNetwork, type Network } from '../network/index.ts'
import { createTermKeeper, openTermCertificate } from '../orders/index.ts'
import { createSigner, type Signer } from '../signing/index.ts'
import { collection, createMemoryStore, type Store } from '../store/index.ts'
import type { Signed } from '../wire/index.ts'
import { openPeerAuditHeads } from './audit-heads.ts'

describe('protocol/peer: audit heads', () => {
  let network: Network
  let signer: Signer
  let store: Store
  beforeEach(async () => {
    const made = await createNetwork({ name: 'test', coordinatorAddrs: [], issuedMs: 1 })
    network = made.network
    signer = createSigner(made.orderSeed)
    store = createMemoryStore()
  })
  const open = () =>
    openPeerAuditHeads({ store, keeper: createTermKeeper(network, network.certificate) })
  const head = (change: Partial<AuditHead>, by = signer): Signed => {
    const { term } = openTermCertificate(network.certificate, network)
    const facts = { v: 1, network: network.network, term, number: 5, issuedMs: 100 } as const
    const hash = new Uint8Array(32).fill(1)
    return by.sign('audit-head', auditHeadCodec.encode({ ...facts, hash, ...change }))
  }
  const codeOf = (work: Promise<unknown>) => work.then(() => undefined, errorCode)

  it('keeps the newest over a restart, with what proves it', async () => {
    const heads = await open()
    await heads.take(head({ number: 5 }))
    await heads.take(head({ number: 9, issuedMs: 200 }))
    await heads.take(head({ number: 9, issuedMs: 200 }))
    // One that was overtaken on its way.
    await heads.take(head({ number: 7, issuedMs: 150 }))
    const { newest } = await open()
    expect(openAuditProof(newest!, network).number).to.equal(9)
  })

  it('refuses what the order key did not sign', async () => {
    const heads = await open()
    const stranger = createSigner(new Uint8Array(32).fill(3))
    expect(await codeOf(heads.take(head({}, stranger)))).to.equal('BAD_SIGNATURE')
    expect(heads.newest).to.equal(undefined)
  })

  const contradictions: [string, Partial<AuditHead>][] = [
    ['another entry of the same number', { number: 9, hash: new Uint8Array(32).fill(2) }],
    ['a log that got shorter', { number: 8, issuedMs: 300 }],
  ]
  for (const [what, change] of contradictions) {
    it(`refuses ${what}, and keeps both heads as proof`, async () => {
      const heads = await open()
      await heads.take(head({ number: 9, issuedMs: 200 }))
      const shown = head({ issuedMs: 300, ...change })
      expect(await codeOf(heads.take(shown))).to.equal('AUDIT_SPLIT')
      expect(openAuditProof((await open()).newest!, network)).to.include({
        number: 9,
        issuedMs: 200,
      })
      const records = collection(store, 'peer-audit', AuditProofSchema)
      const kept = await Promise.all([records.get('contradicted'), records.get('contradiction')])
      const numbers = kept.map((proof) => openAuditProof(proof!, network).number)
      expect(numbers).to.deep.equal([9, change.number])
      expect(
        await codeOf(heads.take(head({ number: 9, hash: new Uint8Array(32).fill(4) }))),
      ).to.equal('AUDIT_SPLIT')
      expect((await records.get('contradiction'))?.head).to.deep.equal(shown)
    })
  }
})
