/** Which orders a node takes, and what it makes of them. */
import { expect } from 'chai'
import { systemClock } from '../../protocol/clock.ts'
import type { Epoch, InstanceId } from '../../protocol/ids.ts'
import { type AllocationsBench, openAllocationsBench, slot, uuid } from './allocations.fixture.ts'

describe('allocations', () => {
  let bench: AllocationsBench
  beforeEach(async () => {
    bench = await openAllocationsBench()
  })
  afterEach(() => bench.close())

  it('runs an order, guarded before it starts, and reports each state', async () => {
    const allocations = await bench.open()
    const answer = await allocations.offer(await bench.order())
    expect(answer).to.not.have.property('refusal')
    expect([...bench.guarded.keys()]).to.deep.equal([bench.orders.allocation.instance])
    await bench.until('running')
    expect(bench.reports.map(({ state }) => state)).to.deep.equal([
      'downloading',
      'creating',
      'running',
    ])
    expect(await bench.containers()).to.have.length(1)
    await allocations.stopAll({ code: 'TEST', message: 'over' }, 0)
    expect(await bench.containers()).to.have.length(0)
    expect(bench.guarded.size).to.equal(0)
  })

  it('lets the guard forget none of two orders that come together', async () => {
    const allocations = await bench.open()
    const second = { slot: slot(8), instance: uuid(9) as InstanceId }
    const bothTold = Promise.withResolvers<void>()
    let told = 0
    bench.guardIsOn = async () => {
      told += 1
      if (told === 2) bothTold.resolve()
      await bothTold.promise
    }
    const both = [await bench.order(), await bench.order(second)]
    for (const answer of await Promise.all(both.map((one) => allocations.offer(one)))) {
      expect(answer).to.not.have.property('refusal')
    }
    expect([...bench.guarded.keys()]).to.have.members([
      bench.orders.allocation.instance,
      second.instance,
    ])
    await allocations.stopAll({ code: 'TEST', message: 'over' }, 0)
    expect(bench.guarded.size).to.equal(0)
  })

  it('takes a redelivery quietly, and refuses an old epoch and a twin', async () => {
    const allocations = await bench.open()
    const signed = await bench.order()
    await allocations.offer(signed)
    await bench.until('running')
    expect(await allocations.offer(signed)).to.not.have.property('refusal')
    const older = await allocations.offer(await bench.order({ epoch: 2 as Epoch }))
    expect(older?.refusal?.code).to.equal('STALE_EPOCH')
    const twin = await allocations.offer(await bench.order())
    expect(twin?.refusal?.code).to.equal('CONFLICTING_ORDER')
    const tampered = { ...signed, payload: signed.payload.slice() }
    tampered.payload[20]! ^= 1
    expect(await allocations.offer(tampered)).to.equal(undefined)
    expect(await bench.containers()).to.have.length(1)
    await allocations.stopAll({ code: 'TEST', message: 'over' }, 0)
  })

  it('restarts the container when a newer epoch asks for it, once, whatever happens to the daemon', async () => {
    const allocations = await bench.open()
    await allocations.offer(await bench.order())
    await bench.until('running')
    const [before] = await bench.containers()
    const stopped: string[] = []
    const stop = bench.engine.stop.bind(bench.engine)
    bench.engine.stop = async (id, options) => {
      stopped.push(id)
      await stop(id, options)
    }
    const asks = { epoch: 4 as Epoch, restartNow: true }
    expect(await allocations.offer(await bench.order(asks))).to.not.have.property('refusal')
    await bench.until('running', 4)
    const [after] = await bench.containers()
    expect(after?.id).to.equal(before?.id)
    expect(stopped).to.deep.equal([before?.id])
    expect(bench.reports.at(-1)).to.include({ restarts: 1, epoch: 4 })
    // The daemon is killed and finds that order again: what it asked for has been done.
    bench.reports = []
    const later = await bench.open(
      new Map([[bench.orders.allocation.instance, { stopAtMs: systemClock.nowMs() + 30_000 }]]),
    )
    await bench.until('running', 4)
    expect(stopped).to.have.length(1)
    await later.stopAll({ code: 'TEST', message: 'over' }, 0)
  })

  it('hands the container over to a newer epoch of the same instance', async () => {
    const allocations = await bench.open()
    await allocations.offer(await bench.order())
    await bench.until('running')
    const [before] = await bench.containers()
    await allocations.offer(await bench.order({ epoch: 4 as Epoch }))
    await bench.until('running', 4)
    const [after] = await bench.containers()
    expect(after?.id).to.equal(before?.id)
    expect(allocations.docket.reports().map(({ epoch }) => epoch)).to.deep.equal([4])
    await allocations.stopAll({ code: 'TEST', message: 'over' }, 0)
  })

  it('keeps to what the chef allows, and to one slot of a group', async () => {
    const allocations = await bench.open()
    const offer = async (group: number, number: number) =>
      (
        await allocations.offer(
          await bench.order({
            slot: slot(group, number),
            instance: uuid(group * 10 + number) as InstanceId,
          }),
        )
      )?.refusal?.code
    expect(await offer(1, 0)).to.equal(undefined)
    expect(await offer(1, 1)).to.equal('GROUP_ALREADY_HERE')
    expect(await offer(2, 0)).to.equal(undefined)
    expect(await offer(3, 0)).to.equal('NODE_FULL')
    await allocations.stopAll({ code: 'TEST', message: 'over' }, 0)
  })

  it('keeps nothing of an order whose key it has forgotten', async () => {
    const allocations = await bench.open()
    const signed = await bench.order()
    await bench.ring().forgetAllBut([])
    expect((await allocations.offer(signed))?.refusal?.code).to.equal('UNSEAL_FAILED')
    expect(allocations.keysInUse()).to.deep.equal([])
    expect(bench.guarded.size).to.equal(0)
  })
})
