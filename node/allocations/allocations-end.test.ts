/** How an instance ends: revoked, lapsed, with the daemon; and what a crash leaves of it. */
import { expect } from 'chai'
import { systemClock } from '../../protocol/clock.ts'
import type { Epoch, InstanceId } from '../../protocol/ids.ts'
import { allocationCodec } from '../../protocol/orders/index.ts'
import { nowMs } from '../../protocol/orders/orders.fixture.ts'
import {
  type AllocationsBench,
  digest,
  openAllocationsBench,
  slot,
  uuid,
} from './allocations.fixture.ts'
import { openSlotBook } from './index.ts'

const { signal } = new AbortController()

describe('allocations: their end', () => {
  let bench: AllocationsBench
  beforeEach(async () => {
    bench = await openAllocationsBench()
  })
  afterEach(() => bench.close())

  it('ends what is revoked, forgets its key, and refuses the order ever after', async () => {
    const allocations = await bench.open()
    const signed = await bench.order()
    await allocations.offer(signed)
    await bench.until('running')
    await allocations.revoke(bench.orders.signRevocation())
    expect(await bench.containers()).to.have.length(0)
    expect(allocations.docket.reports()).to.deep.equal([])
    expect((await allocations.offer(signed))?.refusal?.code).to.equal('CONFLICTING_ORDER')
    const reopened = await bench.open()
    expect((await reopened.offer(signed))?.refusal?.code).to.equal('CONFLICTING_ORDER')
    const { sealed } = allocationCodec.decode(signed.payload)
    const error = await bench
      .ring()
      .open(sealed)
      .catch((reason: unknown) => reason)
    expect(error).to.have.property('code', 'UNSEAL_FAILED')
  })

  it('never lets the end of an old epoch touch the record of a newer one', async () => {
    const allocations = await bench.open()
    await allocations.offer(await bench.order())
    await bench.until('running')
    const newer = await bench.order({ epoch: 4 as Epoch, instance: uuid(77) as InstanceId })
    await allocations.offer(newer)
    await bench.until('running', 4)
    // A daemon that is killed now finds the newer order, and not the older one's end.
    const book = await openSlotBook({ store: bench.store })
    expect(book.memory(bench.orders.allocation.slot)?.fence.epoch).to.equal(4)
    expect(book.live().map(({ order: held }) => held.payload)).to.deep.equal([newer.payload])
    const twin = await allocations.offer(await bench.order({ epoch: 4 as Epoch }))
    expect(twin?.refusal?.code).to.equal('CONFLICTING_ORDER')
    await allocations.stopAll({ code: 'TEST', message: 'over' }, 0)
  })

  it('takes no order once it is leaving', async () => {
    const allocations = await bench.open()
    await allocations.stopAll({ code: 'TEST', message: 'over' }, 0)
    const answer = await allocations.offer(await bench.order())
    expect(answer?.refusal?.code).to.equal('NODE_STOPPING')
    expect(await bench.containers()).to.have.length(0)
  })

  it('tries to put an end on record until the disk takes it, and harms nothing else', async () => {
    const allocations = await bench.open()
    await allocations.offer(await bench.order())
    await bench.until('running')
    const write = bench.store.batch.bind(bench.store)
    let refused = 0
    bench.store.batch = async (...args) => {
      if (refused++ === 0) throw new Error('no space left on device')
      await write(...args)
    }
    await allocations.revoke(bench.orders.signRevocation())
    expect(refused).to.be.at.least(2)
    expect((await openSlotBook({ store: bench.store })).live()).to.deep.equal([])
  })

  it('sweeps away what an engine made too late', async () => {
    const allocations = await bench.open()
    await allocations.offer(await bench.order())
    await bench.until('running')
    const [ours] = await bench.containers()
    await bench.engine.run(
      {
        node: bench.orders.node,
        slot: slot(9),
        term: bench.orders.allocation.term,
        epoch: bench.orders.allocation.epoch,
        instance: uuid(99) as InstanceId,
        image: digest,
        reference: `127.0.0.1:1/bundle@${digest}`,
        command: [],
        env: {},
        hostname: 'stray',
        limits: bench.orders.allocation.resources,
      },
      { signal },
    )
    expect(await bench.containers()).to.have.length(2)
    await allocations.sweep({ signal })
    expect((await bench.containers()).map(({ id }) => id)).to.deep.equal([ours?.id])
    await allocations.stopAll({ code: 'TEST', message: 'over' }, 0)
  })

  it('stops what has lapsed', async () => {
    const allocations = await bench.open()
    await allocations.offer(await bench.order({ leaseEndMs: nowMs - 61_000 }))
    allocations.tick()
    await bench.until('stopped')
    expect(await bench.containers()).to.have.length(0)
    expect(allocations.docket.reports()[0]?.fault?.code).to.equal('LEASE_LAPSED')
  })

  it('adopts after a crash what may still run, and removes the rest', async () => {
    const crashed = await bench.open()
    await crashed.offer(await bench.order())
    await bench.until('running')
    const [before] = await bench.containers()
    bench.reports = []
    // the first one is left as a killed daemon leaves it: its engine and its book remain
    const again = await bench.open(
      new Map([[bench.orders.allocation.instance, { stopAtMs: systemClock.nowMs() + 30_000 }]]),
    )
    await bench.until('running')
    expect((await bench.containers()).map(({ id }) => id)).to.deep.equal([before?.id])
    expect(again.docket.held()).to.have.length(1)

    const tooLate = await bench.open(
      new Map([[bench.orders.allocation.instance, { stopAtMs: systemClock.nowMs() - 1 }]]),
    )
    expect(tooLate.docket.held()).to.have.length(0)
    expect(await bench.containers()).to.have.length(0)
    await Promise.all([
      crashed.stopAll({ code: 'TEST', message: 'over' }, 0),
      again.stopAll({ code: 'TEST', message: 'over' }, 0),
    ])
  })

  it('starts what a daemon created and was killed before it started', async () => {
    const crashed = await bench.open()
    await crashed.offer(await bench.order({ restart: 'never' }))
    await bench.until('running')
    const real = bench.engine
    let isStarted = false
    // As Docker has it: what never started is not running, so waiting for its end ends at once.
    bench.engine = {
      ...real,
      list: async (options) =>
        (await real.list(options)).map((it) => (isStarted ? it : { ...it, state: 'created' })),
      waitExit: (id, options) =>
        isStarted ? real.waitExit(id, options) : Promise.resolve({ exitCode: 0 }),
      restart(id, options) {
        isStarted = true
        return real.restart(id, options)
      },
    }
    bench.reports = []
    const again = await bench.open(
      new Map([[bench.orders.allocation.instance, { stopAtMs: systemClock.nowMs() + 30_000 }]]),
    )
    await bench.until('running')
    expect(isStarted).to.equal(true)
    expect(again.docket.reports().map(({ state }) => state)).to.deep.equal(['running'])
    const over = { code: 'TEST', message: 'over' }
    await Promise.all([crashed.stopAll(over, 0), again.stopAll(over, 0)])
  })

  it('goes on as an orphan after a restart of the daemon, once others prove its line', async () => {
    const crashed = await bench.open()
    const order = await bench.order({ leaseEndMs: nowMs - 600_000, orphanAfterMs: 3_600_000 })
    bench.word = { witnesses: 3, otherHouseholds: 3, lastWitnessMs: nowMs }
    await crashed.offer(order)
    await bench.until('running')
    const { instance } = bench.orders.allocation
    bench.word = { witnesses: 0, otherHouseholds: 3 }
    const stopAtMs = systemClock.nowMs() + 30_000
    const held = new Map([[instance, { stopAtMs, leaseEndMs: nowMs - 600_000 }]])
    const again = await bench.open(held)
    // Nobody was asked yet: what the daemon before allowed still holds.
    again.tick()
    expect(again.docket.held()).to.have.length(1)
    bench.word = { witnesses: 3, otherHouseholds: 3, lastWitnessMs: nowMs + 1_000 }
    again.tick()
    await again.renew([])
    const { stopAtMs: extendedMs = 0 } = bench.guarded.get(instance) ?? {}
    expect(extendedMs).to.be.above(stopAtMs + 20_000)
    const over = { code: 'TEST', message: 'over' }
    await Promise.all([crashed.stopAll(over, 0), again.stopAll(over, 0)])
  })
})
