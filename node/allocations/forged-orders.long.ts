/**
 * 100,000 orders that a node must not take: mutated, replayed, expired, meant for others; before and
 * right after restarts of its daemon. None is accepted, and what runs goes on untouched.
 */
import { expect } from 'chai'
import fc from 'fast-check'
import { systemClock } from '../../protocol/clock.ts'
import type { Epoch, InstanceId, NetworkId, Term } from '../../protocol/ids.ts'
import { type Allocation, allocationCodec } from '../../protocol/orders/index.ts'
import { nowMs } from '../../protocol/orders/orders.fixture.ts'
import { createSigner } from '../../protocol/signing/index.ts'
import type { Signed } from '../../protocol/wire/index.ts'
import { type AllocationsBench, openAllocationsBench, uuid } from './allocations.fixture.ts'
import type { Allocations } from './index.ts'

const orders = 100_000
const lives = 5
const firstEpoch = 3 as Epoch
const newestEpoch = 9 as Epoch

/** What a stranger, a thief of old orders or a coordinator of another day could send. */
function forgeries(bench: AllocationsBench, genuine: Signed, old: readonly Signed[]) {
  const { orders: f } = bench
  const base = allocationCodec.decode(genuine.payload)
  const stranger = createSigner(new Uint8Array(32).fill(77))
  const sign = (changes: Partial<Allocation>): Signed =>
    f.orders.sign('allocation', allocationCodec.encode({ ...base, ...changes }))
  const fresh = fc.record({
    epoch: fc.integer({ min: newestEpoch + 1, max: 1e6 }).map((epoch) => epoch as Epoch),
    instance: fc.nat(1e9).map((n) => uuid(n) as InstanceId),
    nonce: fc.uint8Array({ minLength: 16, maxLength: 16 }),
  })
  return {
    mutated: fc
      .tuple(fc.constantFrom(genuine, ...old), fc.nat(1e6), fc.nat(7))
      .map(([order, at, bit]): Signed => {
        const whole = Buffer.concat([order.payload, order.signature])
        const place = at % whole.length
        whole[place] = (whole[place] ?? 0) ^ (1 << bit)
        const { length } = order.payload
        return { payload: whole.subarray(0, length), signature: whole.subarray(length) }
      }),
    grafted: fresh.map((changes): Signed => {
      const payload = allocationCodec.encode({ ...base, ...changes })
      return { payload, signature: genuine.signature }
    }),
    'of a stranger': fresh.map((changes) =>
      stranger.sign('allocation', allocationCodec.encode({ ...base, ...changes })),
    ),
    'of another kind': fresh.map((changes) =>
      f.orders.sign('revocation', allocationCodec.encode({ ...base, ...changes })),
    ),
    replayed: fc.constantFrom(...old),
    outdated: fc
      .tuple(fc.integer({ min: 1, max: newestEpoch - 1 }), fresh)
      .map(([epoch, changes]) => sign({ ...changes, epoch: epoch as Epoch })),
    'a twin': fresh.map((changes) => sign({ ...changes, epoch: newestEpoch })),
    expired: fc
      .tuple(fc.integer({ min: 60_000, max: 1e9 }), fresh)
      .map(([agoMs, changes]) => sign({ ...changes, acceptUntilMs: nowMs - agoMs })),
    'of the future': fc
      .tuple(fc.integer({ min: 600_000, max: 1e9 }), fresh)
      .map(([inMs, changes]) => sign({ ...changes, notBeforeMs: nowMs + inMs })),
    're-targeted': fresh.map((changes) => sign({ ...changes, node: f.other })),
    'of another network': fresh.map((changes) =>
      sign({ ...changes, network: 'cd'.repeat(16) as NetworkId }),
    ),
    'of another term': fc
      .tuple(fc.integer({ min: 2, max: 1e6 }), fresh)
      .map(([term, changes]) => sign({ ...changes, term: term as Term })),
  }
}

describe('forged orders', () => {
  it(`of ${orders} none is accepted, also right after a restart`, async () => {
    const bench = await openAllocationsBench()
    let allocations: Allocations = await bench.open()
    const old: Signed[] = []
    for (let epoch: number = firstEpoch; epoch <= newestEpoch; epoch++) {
      old.push(
        await bench.order({ epoch: epoch as Epoch, instance: uuid(100 + epoch) as InstanceId }),
      )
      await allocations.offer(old.at(-1) as Signed)
    }
    const genuine = old.pop() as Signed
    await bench.until('running', newestEpoch)
    const [running] = await bench.containers()
    expect(running?.instance).to.equal(uuid(100 + newestEpoch))

    const kinds = Object.entries(forgeries(bench, genuine, old))
    const each = Math.ceil(orders / lives / kinds.length)
    const seed = Date.now()
    const refused: Record<string, number> = {}
    for (let life = 0; life < lives; life++) {
      if (life > 0) {
        const held = new Map([
          [uuid(100 + newestEpoch) as InstanceId, { stopAtMs: systemClock.nowMs() + 3_600_000 }],
        ])
        allocations = await bench.open(held)
      }
      for (const [kind, forgery] of kinds) {
        for (const signed of fc.sample(forgery, { numRuns: each, seed: seed + life })) {
          const answer = await allocations.offer(signed)
          const isRefused = answer === undefined || answer.refusal !== undefined
          expect(isRefused, `${kind}, seed ${seed + life}`).to.equal(true)
          refused[kind] = (refused[kind] ?? 0) + 1
        }
      }
    }
    expect(Object.values(refused).reduce((sum, count) => sum + count)).to.be.at.least(orders)
    expect((await bench.containers()).map(({ id }) => id)).to.deep.equal([running?.id])
    expect((await allocations.offer(genuine))?.refusal, 'a redelivery').to.equal(undefined)
    await allocations.stopAll({ code: 'TEST', message: 'over' }, 0)
    await bench.close()
  }).timeout(600_000)
})
