/**
 * Money over crashes: random histories of looks, flushes and power cuts, held against a model that
 * marks half-seconds one by one and knows nothing of meters, hours or batches.
 */
import { expect } from 'chai'
import fc from 'fast-check'
import type { Fence, SlotId } from '../../protocol/ids.ts'
import { silentLogger } from '../../protocol/log/index.ts'
import { CrashingStore, fenceOf, slotOf, termsOf } from './ledger.fixture.ts'
import { createLedger, type Ledger } from './ledger.ts'
import { hourMs } from './meter.ts'
import { type Metering, openMetering } from './metering.ts'
import { ledgerRecords } from './records.ts'
import type { BillingTerms } from './terms.ts'

const leaseMs = 15_000
const tickMs = 500
/** Shortly before an hour, a day and a month end. */
const startMs = Date.UTC(2026, 0, 31, 23, 59, 0)

type Seen = Readonly<{ atMs: number; runs: boolean }>

/** What should have been charged of each epoch: marks on a line of half-seconds. */
class Model {
  readonly #durable = new Map<string, Seen[]>()
  #recent: [string, Seen][] = []

  see(epoch: string, seen: Seen): void {
    this.#recent.push([epoch, seen])
  }
  keep(): void {
    for (const [epoch, seen] of this.#recent) {
      this.#durable.set(epoch, [...(this.#durable.get(epoch) ?? []), seen])
    }
    this.#recent = []
  }
  forget(): void {
    this.#recent = []
  }
  /** Half-seconds in which the epoch surely ran under its lease. */
  marksOf(epoch: string): ReadonlySet<number> {
    const marks = new Set<number>()
    const seen = this.#durable.get(epoch) ?? []
    for (const [index, { atMs, runs }] of seen.entries()) {
      const next = seen[index + 1]
      if (!runs || !next || next.atMs > atMs + leaseMs) continue
      for (let mark = atMs; mark < next.atMs; mark += tickMs) marks.add(mark)
    }
    return marks
  }
  get epochs(): readonly string[] {
    return [...this.#durable.keys()]
  }
}

type World = {
  readonly store: CrashingStore
  readonly model: Model
  nowMs: number
  ledger: Ledger
  metering: Metering
  readonly newest: Map<SlotId, number>
}

const prices: readonly Partial<BillingTerms>[] = [
  { microsPerHour: 271_829 },
  { microsPerHour: 1, owner: 'anna' },
  { microsPerHour: 999_999_999, owner: 'bert', chefPercent: 33 },
  { microsPerHour: 0 },
]

async function start(world: Omit<World, 'ledger' | 'metering'>): Promise<World> {
  const store = world.store.open()
  const opened = world as World
  const nowMs = (): number => opened.nowMs
  opened.ledger = createLedger({ heldDays: 2 }, { store, nowMs })
  const newestOf = (slot: SlotId): Fence | undefined => {
    const epoch = opened.newest.get(slot)
    return epoch === undefined ? undefined : fenceOf(epoch)
  }
  opened.metering = await openMetering(
    { leaseMs },
    {
      ...{ store, ledger: opened.ledger, newestOf, nowMs, logger: silentLogger },
      clock: { sleep: () => new Promise(() => undefined) },
    },
  )
  return opened
}

const step = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({ do: fc.constant('look' as const), slot: fc.nat(3), runs: fc.boolean() }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('look' as const),
      slot: fc.nat(3),
      runs: fc.constant(true),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('end' as const), slot: fc.nat(3) }) },
  { weight: 10, arbitrary: fc.record({ do: fc.constant('wait' as const), ticks: fc.nat(40) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('wait' as const), ticks: fc.nat(9_000) }) },
  { weight: 6, arbitrary: fc.constant({ do: 'flush' as const }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('crash' as const),
      how: fc.constantFrom('between' as const, 'lost' as const, 'written, unacknowledged' as const),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ do: 'release' as const }) },
  { weight: 1, arbitrary: fc.constant({ do: 'refuse' as const }) },
)
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

async function play(world: World, action: Step): Promise<World> {
  const { model, newest } = world
  switch (action.do) {
    case 'look':
    case 'end': {
      const slot = slotOf(action.slot)
      const epoch = newest.get(slot) ?? 1
      newest.set(slot, epoch)
      const placement = { fence: fenceOf(epoch), billing: termsOf(prices[action.slot]) }
      const runs = action.do === 'look' && action.runs
      model.see(`${action.slot} ${epoch}`, { atMs: world.nowMs, runs })
      if (action.do === 'look') {
        world.metering.look(slot, placement, runs ? 'running' : 'restarting', world.nowMs)
        return world
      }
      world.metering.end(slot, placement, world.nowMs)
      newest.set(slot, epoch + 1)
      return world
    }
    case 'wait':
      world.nowMs += action.ticks * tickMs
      return world
    case 'flush':
      await world.metering.flush()
      model.keep()
      return world
    case 'crash': {
      if (action.how !== 'between') {
        world.store.next = action.how
        await world.metering.flush().then(
          () => model.keep(), // there was nothing to write
          () => (action.how === 'lost' ? undefined : model.keep()),
        )
        world.store.next = 'written'
      }
      model.forget()
      return await start(world)
    }
    case 'refuse':
      // The store was busy: nothing is written, and the next flush makes up for it.
      world.store.next = 'lost'
      await world.metering.flush().catch(() => undefined)
      world.store.next = 'written'
      return world
    case 'release':
      await world.ledger.release()
      return world
  }
}

async function total(ledger: Ledger, kind: string): Promise<bigint> {
  let sum = 0n
  for await (const [account, micros] of ledger.balances()) {
    if (account.split(':')[0] === kind) sum += micros
  }
  return sum
}

async function check({ store, ledger, model }: World): Promise<void> {
  const secondsOf = new Map<string, number>()
  for await (const [, charge] of ledgerRecords(store.disk).charges.entries()) {
    const { slot, fence, fromSecond, toSecond, postings } = charge
    const epoch = `${slot.split('/')[1]} ${fence.epoch}`
    // In key order, so a second that is charged twice or left out breaks the row.
    expect(fromSecond, epoch).to.equal(secondsOf.get(epoch) ?? 0)
    secondsOf.set(epoch, toSecond)
    expect(postings.reduce((sum, { micros }) => sum + BigInt(micros), 0n)).to.equal(0n)
  }
  let owed = 0n
  let earned = 0n
  for (const epoch of model.epochs) {
    const seconds = Math.floor((model.marksOf(epoch).size * tickMs) / 1_000)
    expect(secondsOf.get(epoch) ?? 0, epoch).to.equal(seconds)
    const { microsPerHour, chefPercent } = termsOf(prices[Number(epoch.split(' ')[0])])
    const micros = (BigInt(microsPerHour) * BigInt(seconds)) / 3_600n
    owed += micros
    earned += (micros * BigInt(chefPercent)) / 100n
  }
  expect(await total(ledger, 'organization')).to.equal(-owed)
  expect((await total(ledger, 'held')) + (await total(ledger, 'chef'))).to.equal(earned)
  expect(await total(ledger, 'revenue')).to.equal(owed - earned)
  const usage = await ledger.usage(termsOf().organizationId)
  expect(usage.reduce((sum, { micros }) => sum + BigInt(micros), 0n)).to.equal(owed)
}

describe('coordinator/ledger: over crashes', () => {
  it('charges each second that ran under its lease once, and no other, to the micro-unit', async function () {
    this.timeout(120_000)
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 20, maxLength: 160, size: 'max' }),
        async (steps) => {
          const begun = { store: new CrashingStore(), model: new Model(), nowMs: startMs }
          let world = await start({ ...begun, newest: new Map() })
          for (const action of steps) world = await play(world, action)
          // All epochs end, so that all is booked.
          for (const slot of [0, 1, 2, 3]) world = await play(world, { do: 'end', slot })
          world = await play(world, { do: 'flush' })
          await check(world)
        },
      ),
      { numRuns: 400 },
    )
  })

  it('books an hour when it is over, in the month in which it ran', async () => {
    let world = await start({
      ...{ store: new CrashingStore(), model: new Model(), nowMs: startMs },
      newest: new Map(),
    })
    for (let look = 0; look < 30; look++) {
      world = await play(world, { do: 'look', slot: 0, runs: true })
      world = await play(world, { do: 'wait', ticks: 10 })
    }
    const { organizationId } = termsOf()
    expect(await world.ledger.usage(organizationId)).to.deep.equal([])
    expect(world.metering.accrued(organizationId)[0]?.seconds).to.equal(145)
    await world.metering.flush()
    const booked = await world.ledger.usage(organizationId)
    expect(booked.map(({ month, seconds }) => [month, seconds])).to.deep.equal([['2026-01', '60']])
    expect(world.metering.accrued(organizationId)[0]?.seconds).to.equal(85)
    world = await play(world, { do: 'end', slot: 0 })
    await world.metering.flush()
    const all = await world.ledger.usage(organizationId)
    expect(all.map(({ month, seconds }) => [month, seconds])).to.deep.equal([
      ['2026-01', '60'],
      ['2026-02', '90'],
    ])
  })

  it('holds earnings back, and pays them out once, whatever crashes', async () => {
    const base = { store: new CrashingStore(), model: new Model(), nowMs: startMs }
    let world = await start({ ...base, newest: new Map() })
    world = await play(world, { do: 'look', slot: 2, runs: true })
    world = await play(world, { do: 'wait', ticks: 20 })
    world = await play(world, { do: 'end', slot: 2 })
    await world.metering.flush()
    const earned = await world.ledger.balance('held:bert')
    expect(earned > 0n).to.equal(true)
    world.nowMs += 2 * 24 * hourMs
    expect(await world.ledger.release()).to.equal(0)
    world.nowMs += 24 * hourMs
    world.store.next = 'lost'
    await world.ledger.release().catch(() => undefined)
    world = await start(world)
    expect(await world.ledger.balance('chef:bert')).to.equal(0n)
    world.store.next = 'written, unacknowledged'
    await world.ledger.release().catch(() => undefined)
    world = await start(world)
    expect(await world.ledger.release()).to.equal(0)
    expect(await world.ledger.balance('chef:bert')).to.equal(earned)
    expect(await world.ledger.balance('held:bert')).to.equal(0n)
  })

  it('charges nothing of an instance that has no price', async () => {
    const world = await start({
      ...{ store: new CrashingStore(), model: new Model(), nowMs: startMs },
      newest: new Map(),
    })
    const placement = { fence: fenceOf(1) }
    world.metering.look(slotOf(0), placement, 'running', startMs)
    world.metering.end(slotOf(0), placement, startMs + 5_000)
    await world.metering.flush()
    expect(await world.ledger.usage(termsOf().organizationId)).to.deep.equal([])
  })
})
