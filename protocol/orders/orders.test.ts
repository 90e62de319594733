import { createHash } from 'node:crypto'
import { expect } from 'chai'
import fc from 'fast-check'
import { PotluckError } from '../errors.ts'
import type { BundleId, Epoch, NetworkId, Term } from '../ids.ts'
import { createSigner } from '../signing/index.ts'
import type { Signed } from '../wire/index.ts'
import {
  allocationCodec,
  banListCodec,
  judgeAllocation,
  judgeBanList,
  judgeRevocation,
  judgeRoster,
  judgeTicket,
  revocationCodec,
  rosterCodec,
  ticketCodec,
} from './index.ts'
import { nowMs, orderFixture } from './orders.fixture.ts'

type Fixture = Awaited<ReturnType<typeof orderFixture>>

const codeOf = (work: () => unknown): string => {
  try {
    work()
  } catch (error) {
    if (error instanceof PotluckError) return error.code
    throw error
  }
  return 'ACCEPTED'
}
const hashOf = (signed: Signed) => createHash('sha256').update(signed.payload).digest('hex')

describe('orders', () => {
  let f: Fixture
  before(async () => {
    f = await orderFixture()
  })

  /** What a node does with an order: verify, parse, judge. */
  const take = (signed: Signed, context: Partial<Parameters<typeof judgeAllocation>[1]> = {}) =>
    codeOf(() =>
      judgeAllocation(f.keeper.open('allocation', signed, allocationCodec), {
        self: f.node,
        nowMs,
        memory: undefined,
        orderHash: hashOf(signed),
        ...context,
      }),
    )

  it('accepts a genuine order, and its byte-identical redelivery after its time', () => {
    const signed = f.signAllocation()
    expect(take(signed)).to.equal('ACCEPTED')
    const memory = { fence: f.allocation, orderHash: hashOf(signed) }
    expect(take(signed, { memory, nowMs: nowMs + 1e9 })).to.equal('ACCEPTED')
  })

  it('refuses what is meant for others, for another time, or was outdated', () => {
    const signed = f.signAllocation()
    expect(take(signed, { self: f.other })).to.equal('WRONG_AUDIENCE')
    expect(take(signed, { nowMs: nowMs + 15_001 })).to.equal('EXPIRED')
    expect(take(signed, { nowMs: nowMs - 2_001 })).to.equal('NOT_YET_VALID')
    const later = { fence: { term: 1 as Term, epoch: 4 as Epoch } }
    expect(take(signed, { memory: later })).to.equal('STALE_EPOCH')
    const laterTerm = { fence: { term: 2 as Term, epoch: 1 as Epoch } }
    expect(take(signed, { memory: laterTerm })).to.equal('STALE_EPOCH')
    const ended = { fence: f.allocation }
    expect(take(signed, { memory: ended })).to.equal('CONFLICTING_ORDER')
    const twin = f.signAllocation({ strict: true })
    const taken = { fence: f.allocation, orderHash: hashOf(signed) }
    expect(take(twin, { memory: taken })).to.equal('CONFLICTING_ORDER')
    expect(take(f.signAllocation({ network: '0'.repeat(32) as NetworkId }))).to.equal(
      'WRONG_NETWORK',
    )
    expect(take(f.signAllocation({ term: 2 as Term }))).to.equal('UNKNOWN_TERM')
  })

  it('obeys only the newest certified term', async () => {
    const g = await orderFixture()
    const successor = createSigner(new Uint8Array(32).fill(5))
    expect(
      g.keeper.offer(g.signCertificate({ term: 2 as Term, orderKey: successor.publicKey })),
    ).to.equal(true)
    const open = (signed: Signed) =>
      codeOf(() => g.keeper.open('allocation', signed, allocationCodec))
    expect(open(g.signAllocation({ term: 2 as Term }))).to.equal('BAD_SIGNATURE')
    const payload = allocationCodec.encode({ ...g.allocation, term: 1 as Term })
    expect(open(successor.sign('allocation', payload))).to.equal('STALE_TERM')
    const next = allocationCodec.encode({ ...g.allocation, term: 2 as Term })
    expect(open(successor.sign('allocation', next))).to.equal('ACCEPTED')
    expect(codeOf(() => g.keeper.offer(g.network.certificate))).to.equal('STALE_TERM')
    const usurper = createSigner(new Uint8Array(32).fill(6))
    const forged = usurper.sign('term-certificate', g.network.certificate.payload)
    expect(codeOf(() => g.keeper.offer(forged))).to.equal('BAD_SIGNATURE')
  })

  it('accepts none of 10,000 forgeries', () => {
    const genuine = f.signAllocation()
    const stranger = createSigner(new Uint8Array(32).fill(77))
    const changes = fc.record(
      {
        epoch: fc.integer({ min: 1, max: 1e6 }).map((epoch) => epoch as Epoch),
        leaseEndMs: fc.nat(),
        acceptUntilMs: fc.integer({ min: nowMs, max: nowMs + 1e9 }),
        strict: fc.boolean(),
        nonce: fc.uint8Array({ minLength: 16, maxLength: 16 }),
      },
      { requiredKeys: [] },
    )
    const forgery = fc.oneof(
      // any bit of the payload or the signature
      fc.tuple(fc.nat(genuine.payload.length + 63), fc.nat(7)).map(([at, bit]): Signed => {
        const whole = Buffer.concat([genuine.payload, genuine.signature])
        whole[at]! ^= 1 << bit
        return {
          payload: whole.subarray(0, genuine.payload.length),
          signature: whole.subarray(genuine.payload.length),
        }
      }),
      // another content under the genuine signature
      changes.map((changed): Signed => {
        const payload = allocationCodec.encode({ ...f.allocation, ...changed, lostAfterMs: 1 })
        return { payload, signature: genuine.signature }
      }),
      // a stranger's signature, and a genuine one of another kind
      changes.map((changed) =>
        stranger.sign('allocation', allocationCodec.encode({ ...f.allocation, ...changed })),
      ),
      changes.map((changed) =>
        f.orders.sign('revocation', allocationCodec.encode({ ...f.allocation, ...changed })),
      ),
      // truncated, and random
      fc.nat(genuine.payload.length - 1).map(
        (end): Signed => ({
          payload: genuine.payload.subarray(0, end),
          signature: genuine.signature,
        }),
      ),
      fc.record({
        payload: fc.uint8Array({ maxLength: 300 }),
        signature: fc.uint8Array({ minLength: 64, maxLength: 64 }),
      }),
    )
    let refused = 0
    fc.assert(
      fc.property(forgery, (signed) => {
        expect(take(signed)).to.equal('BAD_SIGNATURE')
        refused++
      }),
      { numRuns: 10_000 },
    )
    expect(refused).to.equal(10_000)
  }).timeout(60_000)

  it('parses genuine signatures over noise into typed errors only', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 200 }), (payload) => {
        expect(take(f.orders.sign('allocation', payload))).to.equal('MALFORMED_MESSAGE')
      }),
      { numRuns: 500 },
    )
  })

  it('takes a ticket from its peer, for its bundle, in its time', () => {
    const judge = (signed: Signed, context: Partial<Parameters<typeof judgeTicket>[1]> = {}) =>
      codeOf(() =>
        judgeTicket(f.keeper.open('ticket', signed, ticketCodec), {
          peer: f.node,
          bundle: f.bundle,
          nowMs,
          ...context,
        }),
      )
    expect(judge(f.signTicket())).to.equal('ACCEPTED')
    expect(judge(f.signTicket(), { peer: f.other })).to.equal('WRONG_AUDIENCE')
    expect(judge(f.signTicket(), { bundle: 'cd'.repeat(32) as BundleId })).to.equal('WRONG_BUNDLE')
    expect(judge(f.signTicket(), { nowMs: nowMs + 3_602_001 })).to.equal('EXPIRED')
  })

  it('revokes only here, and never a newer epoch', () => {
    const order = f.keeper.open('revocation', f.signRevocation(), revocationCodec)
    const judge = (context: Parameters<typeof judgeRevocation>[1]) =>
      codeOf(() => judgeRevocation(order, context))
    expect(judge({ self: f.node, memory: { fence: f.allocation } })).to.equal('ACCEPTED')
    expect(judge({ self: f.other, memory: undefined })).to.equal('WRONG_AUDIENCE')
    const memory = { fence: { term: 1 as Term, epoch: 4 as Epoch } }
    expect(judge({ self: f.node, memory })).to.equal('STALE_EPOCH')
  })

  it('never goes back on a roster or a ban list, and sees a broken chain', () => {
    const roster = (number: number) => f.keeper.open('roster', f.signRoster(number), rosterCodec)
    expect(judgeRoster(roster(2), roster(1))).to.equal(true)
    expect(judgeRoster(roster(2), roster(2))).to.equal(false)
    expect(codeOf(() => judgeRoster(roster(1), roster(2)))).to.equal('STALE_LIST')

    const first = f.signBans(1, new Uint8Array(32), [f.other])
    const hash = createHash('sha256').update(first.payload).digest()
    const open = (signed: Signed) => f.keeper.open('ban-list', signed, banListCodec)
    const held = { list: open(first), hash }
    expect(judgeBanList(open(f.signBans(2, hash)), held)).to.equal(true)
    const denial = open(f.signBans(2, new Uint8Array(32)))
    expect(codeOf(() => judgeBanList(denial, held))).to.equal('BROKEN_CHAIN')
    expect(codeOf(() => judgeBanList(open(f.signBans(0, hash)), held))).to.equal('STALE_LIST')
  })
})
