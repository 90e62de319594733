/** No edit of a log goes unseen: every flipped byte, every entry dropped, swapped or cut off. */
import { expect } from 'chai'
import fc from 'fast-check'
import { createSigner } from '../../protocol/signing/index.ts'
import { createMemoryStore } from '../../protocol/store/index.ts'
import { type AuditNetwork, actOf, auditNetwork } from './audit.fixture.ts'
import { appendAct, auditEntryCodec, entryHash } from './entry.ts'
import { exportAudit, readAuditItems } from './file.ts'
import { type AuditVerdict, auditSourceOf, verifyAudit } from './index.ts'

const count = 24

async function* each<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items
}
async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const item of items) found.push(item)
  return found
}

describe('coordinator/audit: verify', () => {
  let at: AuditNetwork
  let entries: Uint8Array[]
  let proof: NonNullable<Awaited<ReturnType<typeof auditSourceOf>>['proof']>
  let file: Buffer
  before(async () => {
    at = await auditNetwork()
    const store = createMemoryStore()
    const log = await at.open(store)
    for (let number = 1; number <= count; number++) await log.record([actOf(number)])
    const source = await auditSourceOf(store)
    entries = await all(source.entries)
    proof = source.proof!
    file = Buffer.concat(await all(exportAudit(await auditSourceOf(store))))
  })
  const verify = (log: readonly Uint8Array[], shown = [] as (typeof proof)[]) =>
    verifyAudit({ entries: each(log), proof, shown }, at.network)
  const partOf = async (length: number) => {
    const log = await at.open(createMemoryStore())
    for (let number = 1; number <= length; number++) await log.record([actOf(number)])
    return log
  }
  const badEntry = (verdict: AuditVerdict) => (verdict.ok ? 'whole' : verdict.entry)

  it('passes a whole log, from the store and from a file cut anywhere into pieces', async () => {
    const whole = { ok: true, entries: count, newest: count, lost: 0 }
    expect(await verify(entries, [proof])).to.deep.equal(whole)
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 9_000 }), async (pieceBytes) => {
        const pieces = Array.from({ length: Math.ceil(file.length / pieceBytes) }, (_, n) =>
          file.subarray(n * pieceBytes, (n + 1) * pieceBytes),
        )
        const read = await readAuditItems('audit', each(pieces))
        expect(await verifyAudit(read, at.network)).to.deep.equal(whole)
      }),
      { numRuns: 20 },
    )
  })

  it('finds and names every flipped byte of every entry', async () => {
    for (const [index, bytes] of entries.entries()) {
      for (let place = 0; place < bytes.length; place++) {
        const flipped = Buffer.from(bytes)
        flipped[place]! ^= 1 << (place % 8)
        const verdict = await verify(entries.with(index, flipped))
        expect(badEntry(verdict), `byte ${place} of entry ${index + 1}`).to.equal(index + 1)
      }
    }
  })

  it('finds every flipped byte of the exported file', async function () {
    this.timeout(60_000)
    for (let place = 0; place < file.length; place++) {
      const flipped = Buffer.from(file)
      flipped[place]! ^= 1 << (place % 8)
      const verdict = await readAuditItems('audit', each([flipped])).then(
        (source) => verifyAudit(source, at.network),
        () => ({ ok: false as const, entry: 1, problem: 'no log' }),
      )
      expect(badEntry(verdict), `byte ${place}`).to.not.equal('whole')
    }
  })

  it('finds and names every drop, swap, doubling and truncation', async () => {
    for (let index = 0; index < count; index++) {
      expect(badEntry(await verify(entries.toSpliced(index, 1)))).to.equal(index + 1)
      expect(badEntry(await verify(entries.slice(0, index)))).to.equal(index + 1)
      const doubled = entries.toSpliced(index, 0, entries[index]!)
      expect(badEntry(await verify(doubled))).to.equal(index + 2)
      for (let other = index + 1; other < count; other++) {
        const swapped = entries.with(index, entries[other]!).with(other, entries[index]!)
        expect(badEntry(await verify(swapped))).to.equal(index + 1)
      }
    }
    expect(badEntry(await verify([...entries, ...entries.slice(-1)]))).to.equal(count + 1)
  })

  it('finds a tail that was written anew, and one that no head covers', async () => {
    const forged = entries.slice(0, 9)
    let end = { number: 9, hash: entryHash(entries[8]!) }
    for (let number = 10; number <= count; number++) {
      const next = appendAct(end, { ...actOf(number), by: 'somebody else' }, 5)
      forged.push(next.bytes)
      end = next.end
    }
    expect(badEntry(await verify(forged))).to.equal(count)
    const more = appendAct({ number: count, hash: entryHash(entries.at(-1)!) }, actOf(0), 5)
    expect(badEntry(await verify([...entries, more.bytes]))).to.equal(count + 1)
  })

  it("holds a log to the heads that peers kept: another past, signed with the coordinator's own key", async () => {
    const store = createMemoryStore()
    const log = await at.open(store)
    const kept: (typeof proof)[] = []
    for (let number = 1; number <= count; number++) {
      await log.record([{ ...actOf(number), ...(number === 7 ? { by: 'forger' } : {}) }])
      kept.push(log.proof!)
    }
    // The first six are the same, so heads up to there agree.
    for (const [index, head] of kept.entries()) {
      const verdict = await verify(entries, [head])
      expect(badEntry(verdict)).to.equal(index < 6 ? 'whole' : index === count - 1 ? 0 : index + 1)
    }
  })

  it('believes no head that the root key does not vouch for', async () => {
    const stranger = createSigner(new Uint8Array(32).fill(5))
    const head = stranger.sign('audit-head', proof.head.payload)
    const verdict = await verifyAudit(
      { entries: each(entries), proof: { ...proof, head } },
      at.network,
    )
    expect(verdict).to.include({ ok: false, entry: 0 })
    expect(
      badEntry(await verifyAudit({ entries: each(entries), proof: undefined }, at.network)),
    ).to.equal(count)
  })

  it('takes a gap only where a restore names the head that it follows', async () => {
    const store = createMemoryStore()
    await (await at.open(store)).record([actOf(1), actOf(2)])
    // The backup has two entries; a third is written before a peer shows what was lost.
    const log = await at.open(store, 2)
    await log.record([{ ...actOf(3), by: 'restored' }])
    const early = log.proof!
    await log.continueFrom(proof, { reason: 'restored' })
    await log.record([actOf(4)])
    const source = await auditSourceOf(store)
    const restored = await all(source.entries)
    const check = (log: readonly Uint8Array[], shown = [] as (typeof proof)[]) =>
      verifyAudit({ ...source, entries: each(log), shown }, at.network)
    const whole = { ok: true, entries: 5, newest: count + 2, lost: count - 3 }
    expect(await check(restored)).to.deep.equal(whole)
    // Heads of the lost entries prove nothing against a log that owns up to them.
    const lost = (await partOf(3)).proof!
    expect(await check(restored, [lost, proof, early])).to.deep.equal(whole)
    const { continues: _, ...plain } = auditEntryCodec.decode(restored[3]!)
    expect(badEntry(await check(restored.with(3, auditEntryCodec.encode(plain))))).to.equal(4)
    // Without the restore the same head is a contradiction.
    const silent = createMemoryStore()
    await (await at.open(silent)).record([actOf(1), actOf(2)])
    await (await at.open(silent, 2)).record([{ ...actOf(3), by: 'restored' }])
    const unsaid = await verifyAudit(
      { ...(await auditSourceOf(silent)), shown: [lost] },
      at.network,
    )
    expect(badEntry(unsaid)).to.equal(3)
  })

  it('takes no gap that the order key alone could have made', async () => {
    const store = createMemoryStore()
    const log = await at.open(store)
    await log.record([actOf(1), actOf(2)])
    await log.continueFrom(proof, { reason: 'restored, it says' })
    expect(badEntry(await verifyAudit(await auditSourceOf(store), at.network))).to.equal(3)
  })

  it('reads again whatever was written: an act of any length and kind of facts', async () => {
    const value = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 3_000 }),
      fc.double(),
      fc.boolean(),
    )
    const name = fc.string({ unit: 'binary', maxLength: 100 })
    await fc.assert(
      fc.asyncProperty(
        fc.dictionary(name, value, { maxKeys: 40 }),
        fc.string({ maxLength: 600 }),
        async (facts, by) => {
          const store = createMemoryStore()
          const log = await at.open(store)
          await log.record([{ kind: 'ban', by, facts }])
          const verdict = await verifyAudit(await auditSourceOf(store), at.network)
          expect(verdict).to.include({ ok: true, entries: 1 })
        },
      ),
    )
  })

  it('never throws, whatever the bytes are', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 4 }),
        async (log) => {
          const verdict = await verify(log)
          expect(verdict.ok).to.equal(false)
        },
      ),
    )
  })
})
