/** What peers remember of the log, held against it. */
import { expect } from 'chai'
import type { AuditProof } from '../../protocol/audit/index.ts'
import type { PeerId, Term } from '../../protocol/ids.ts'
import { silentLogger } from '../../protocol/log/index.ts'
import { createSigner } from '../../protocol/signing/index.ts'
import { createMemoryStore, type Store } from '../../protocol/store/index.ts'
import { type AuditNetwork, actOf, auditNetwork } from './audit.fixture.ts'
import { auditEntryCodec } from './entry.ts'
import { type AuditLog, auditSourceOf, createAuditWitness, verifyAudit } from './index.ts'

const peer = 'node' as PeerId

describe('coordinator/audit: witness', () => {
  let at: AuditNetwork
  let store: Store
  let audit: AuditLog
  let ahead: number[]
  beforeEach(async () => {
    at = await auditNetwork()
    store = createMemoryStore()
    audit = await at.open(store)
    ahead = []
    for (let number = 1; number <= 5; number++) await audit.record([actOf(number)])
  })
  const show = (shown: AuditProof, term = 1) =>
    createAuditWitness({
      ...{ audit, term: term as Term, pinned: at.network, logger: silentLogger },
      onAhead: ({ number }) => ahead.push(number),
    }).take(peer, shown)
  const otherLog = async (count: number): Promise<AuditProof> => {
    const log = await at.open(createMemoryStore())
    for (let n = 1; n <= count; n++) await log.record([{ ...actOf(n), by: 'another past' }])
    return log.proof!
  }
  const kinds = async () => {
    const found: string[] = []
    for await (const bytes of (await auditSourceOf(store)).entries) {
      found.push(auditEntryCodec.decode(bytes).kind)
    }
    return found.slice(5)
  }

  it('is content with a head of this very log, also an old one', async () => {
    const old = audit.proof!
    await audit.record([actOf(6)])
    await show(old)
    expect(await kinds()).to.deep.equal(['allocation'])
  })

  it('writes down a head that this log contradicts, with the proof', async () => {
    await show(await otherLog(3))
    expect(await kinds()).to.deep.equal(['split-view'])
  })

  it('tells of a head that this log does not reach', async () => {
    await show(await otherLog(8))
    expect(ahead).to.deep.equal([8])
    expect(await kinds()).to.deep.equal([])
  })

  it('goes on, once restored under a new term, from the newest head that peers hold', async () => {
    audit = await at.open(store, 2)
    await audit.record([actOf(6)])
    await show(await otherLog(6), 2)
    await show(await otherLog(9), 2)
    expect(await kinds()).to.deep.equal(['allocation', 'entries-lost', 'restore'])
    expect(audit.count).to.equal(10)
    expect(await verifyAudit(await auditSourceOf(store), at.network)).to.include({
      ok: true,
      lost: 2,
    })
  })

  it('ignores a head that nobody with our key signed', async () => {
    const proof = await otherLog(3)
    const forged = createSigner(new Uint8Array(32).fill(9)).sign('audit-head', proof.head.payload)
    await show({ ...proof, head: forged })
    await show({ ...proof, head: { ...proof.head, payload: Uint8Array.of(1) } })
    expect(await kinds()).to.deep.equal([])
  })
})
