/** The log over failures and restarts: an act and what it changed are on disk together, or neither. */
import { expect } from 'chai'
import fc from 'fast-check'
import { auditHeadCodec } from '../../protocol/audit/index.ts'
import { createMemoryStore, type Store, type StoreOperation } from '../../protocol/store/index.ts'
import { type AuditNetwork, actOf, auditNetwork } from './audit.fixture.ts'
import { auditEntryCodec } from './entry.ts'
import { auditSourceOf, verifyAudit } from './index.ts'
import { auditRecords, entryKey } from './records.ts'

/** A store whose writes are refused while `refuses` says so, as a full queue refuses them. */
function refusing(store: Store, refuses: () => boolean): Store & { batches: number } {
  return {
    ...store,
    batches: 0,
    async batch(operations: readonly StoreOperation[]) {
      this.batches += 1
      if (refuses()) throw Object.assign(new Error('busy'), { code: 'STORE_BUSY' })
      await store.batch(operations)
    },
  }
}

const put = (key: string): StoreOperation => ({ type: 'put', key: `made/${key}`, value: key })

describe('coordinator/audit: log', () => {
  let at: AuditNetwork
  before(async () => {
    at = await auditNetwork()
  })
  const verdictOf = async (store: Store) => verifyAudit(await auditSourceOf(store), at.network)
  const slotsIn = async (store: Store): Promise<unknown[]> => {
    const slots: unknown[] = []
    for await (const bytes of (await auditSourceOf(store)).entries) {
      slots.push(auditEntryCodec.decode(bytes).facts.slot)
    }
    return slots
  }
  const madeIn = async (store: Store): Promise<string[]> => {
    const made: string[] = []
    for await (const [key] of store.entries({ prefix: 'made/' })) made.push(key.slice(5))
    return made
  }

  it('writes act and change together, or neither, whatever is refused and when it restarts', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ refused: fc.boolean(), together: fc.integer({ min: 1, max: 5 }) }), {
          minLength: 1,
          maxLength: 12,
        }),
        async (rounds) => {
          const store = createMemoryStore()
          let refused = false
          let number = 0
          for (const round of rounds) {
            refused = false
            const log = await at.open(refusing(store, () => refused))
            refused = round.refused
            const acts = Array.from({ length: round.together }, () => actOf(++number))
            const done = await Promise.allSettled(
              acts.map((act) => log.record([act], [put(String(act.facts.slot))])),
            )
            const status = refused ? 'rejected' : 'fulfilled'
            expect(new Set(done.map((one) => one.status))).to.deep.equal(new Set([status]))
          }
          const slots = await slotsIn(store)
          expect((await madeIn(store)).sort()).to.deep.equal([...slots].sort())
          expect(await verdictOf(store)).to.include({ ok: true, entries: slots.length })
        },
      ),
      { numRuns: 50 },
    )
  })

  it('goes on after a refused write as if it had not been tried', async () => {
    const store = createMemoryStore()
    let refused = false
    const log = await at.open(refusing(store, () => refused))
    await log.record([actOf(1)])
    refused = true
    const failed = log.record([actOf(2)], [put('two')]).then(
      () => 'written',
      () => 'refused',
    )
    expect(await failed).to.equal('refused')
    expect(log.count).to.equal(1)
    refused = false
    await log.record([actOf(3)])
    expect(await slotsIn(store)).to.deep.equal(['slot-1', 'slot-3'])
    expect(await verdictOf(store)).to.include({ ok: true })
  })

  it('leaves no gap behind when the write of a restore is refused', async () => {
    const peersLog = await at.open(createMemoryStore())
    for (let number = 1; number <= 9; number++) await peersLog.record([actOf(number)])
    const store = createMemoryStore()
    await (await at.open(store)).record([actOf(1)])
    let refused = false
    const log = await at.open(
      refusing(store, () => refused),
      2,
    )
    refused = true
    const restored = log.continueFrom(peersLog.proof!, {}).catch(() => 'refused')
    expect(await restored).to.equal('refused')
    refused = false
    await log.record([actOf(2)])
    expect(log.count).to.equal(2)
    // Two peers show it at once.
    await Promise.all([1, 2].map(() => log.continueFrom(peersLog.proof!, {})))
    expect(log.count).to.equal(10)
    expect(await verdictOf(store)).to.include({ ok: true, entries: 3, lost: 7 })
  })

  it('writes many acts of one moment in few batches, each covered by one signature', async () => {
    const inner = createMemoryStore()
    const store = refusing(inner, () => false)
    const log = await at.open(store)
    await Promise.all(Array.from({ length: 1_000 }, (_, n) => log.record([actOf(n)])))
    expect(store.batches).to.be.at.most(5)
    expect(log.count).to.equal(1_000)
    expect(auditHeadCodec.decode(log.proof!.head.payload).number).to.equal(1_000)
    expect(await verdictOf(inner)).to.include({ ok: true, entries: 1_000 })
  })

  it('never makes damage whole again: a changed or missing end is told at each verification', async () => {
    for (const damage of ['flip', 'drop'] as const) {
      const store = createMemoryStore()
      const log = await at.open(store)
      for (let number = 1; number <= 5; number++) await log.record([actOf(number)])
      const { entries } = auditRecords(store)
      if (damage === 'drop') await entries.delete(entryKey(5))
      else {
        const bytes = Buffer.from((await entries.get(entryKey(5)))!)
        bytes[bytes.length - 1]! ^= 1
        await entries.put(entryKey(5), new Uint8Array(bytes))
      }
      const again = await at.open(store)
      await again.record([actOf(6)])
      expect(again.count).to.equal(7)
      expect(await verdictOf(store), damage).to.include({ ok: false, entry: 5 })
    }
  })
})
