import { expect } from 'chai'
import fc from 'fast-check'
import { FakeClock } from '../../protocol/clock.ts'
import { silentLogger } from '../../protocol/log/index.ts'
import { createMemoryStore } from '../../protocol/store/index.ts'
import { groupInput, scope } from '../groups/groups.fixture.ts'
import { eventually } from '../testing/coordinator.ts'
import { lastFiringMs, nextFiringMs, parseSchedule, ScheduleInvalidError } from './schedule.ts'
import { startScheduledScaling } from './scheduled-scaling.ts'

const at = (text: string): number => Date.parse(`${text}Z`)
const next = (schedule: string, after: string): string | undefined => {
  const ms = nextFiringMs(parseSchedule(schedule), at(after))
  return ms === undefined ? undefined : new Date(ms).toISOString().slice(0, 16)
}

describe('coordinator/scaling: schedules', () => {
  const cases: [string, string, string | undefined][] = [
    ['* * * * *', '2026-03-01T10:00', '2026-03-01T10:01'],
    ['0 9 * * mon-fri', '2026-03-06T09:00', '2026-03-09T09:00'],
    ['*/20 * * * *', '2026-03-01T10:41', '2026-03-01T11:00'],
    ['5/20 * * * *', '2026-03-01T10:26', '2026-03-01T10:45'],
    ['0 0 1 jan *', '2026-01-01T00:00', '2027-01-01T00:00'],
    ['30 8,20 * * *', '2026-03-01T08:30', '2026-03-01T20:30'],
    ['0 0 * * 7', '2026-03-02T00:00', '2026-03-08T00:00'],
    ['0 0 * * 5-7', '2026-03-02T00:00', '2026-03-06T00:00'],
    ['0 0 29 2 *', '2026-03-01T00:00', '2028-02-29T00:00'],
    ['0 0 30 2 *', '2026-03-01T00:00', undefined],
    // Both days given: one is enough.
    ['0 0 13 * fri', '2026-03-01T00:00', '2026-03-06T00:00'],
    ['0 0 10 * fri', '2026-03-07T00:00', '2026-03-10T00:00'],
    ['0 0 29 2 mon', '2098-03-01T00:00', '2099-02-02T00:00'],
  ]
  for (const [schedule, after, expected] of cases) {
    it(`${schedule} after ${after}: ${expected}`, () => {
      expect(next(schedule, after)).to.equal(expected)
    })
  }

  it('says which field is wrong, and what is valid', () => {
    const wrong: [string, string][] = [
      ['* * * *', 'has 4 fields; give five'],
      ['60 * * * *', 'minute is "60"; give 0 to 59'],
      ['* * 0 * *', 'day of month is "0"; give 1 to 31'],
      ['* * * foo *', 'month is "foo"; give 1 to 12'],
      ['*/0 * * * *', 'step 0'],
      ['1-2-3 * * * *', 'no such range'],
      ['* 9-5 * * *', 'ends before it begins'],
      ['1/2/3 * * * *', 'more than one step'],
      [', * * * *', 'minute is ""'],
    ]
    for (const [schedule, problem] of wrong) {
      expect(() => parseSchedule(schedule), schedule).to.throw(ScheduleInvalidError, problem)
    }
  })

  it('fires exactly at the minutes that a walk over all minutes finds', () => {
    const number = (min: number, max: number) => fc.integer({ min, max }).map(String)
    const field = (min: number, max: number) =>
      fc.oneof(fc.constant('*'), number(min, max), fc.constant(`*/${Math.max(2, max >> 2)}`))
    const any = fc.tuple(field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(0, 6))
    fc.assert(
      fc.property(any, fc.nat(3 * 365 * 1440), (parts, minute) => {
        const schedule = parseSchedule(parts.join(' '))
        const startMs = at('2026-01-01T00:00') + minute * 60_000
        const firstMs = nextFiringMs(schedule, startMs)
        if (firstMs === undefined) return
        expect(firstMs).to.be.greaterThan(startMs)
        // The last one until then, from either side, is the same; and none lies between.
        expect(lastFiringMs(schedule, { afterMs: startMs, untilMs: firstMs })).to.equal(firstMs)
        expect(lastFiringMs(schedule, { afterMs: startMs, untilMs: firstMs - 60_000 })).to.equal(
          undefined,
        )
        const date = new Date(firstMs)
        const isIt = (part: string, value: number): boolean =>
          part.startsWith('*/') ? true : part === '*' || Number(part) === value
        expect(isIt(parts[0], date.getUTCMinutes())).to.equal(true)
        expect(isIt(parts[1], date.getUTCHours())).to.equal(true)
        expect(isIt(parts[3], date.getUTCMonth() + 1)).to.equal(true)
      }),
      { numRuns: 300 },
    )
  })
})

describe('coordinator/scaling: scheduled replica counts', () => {
  const noon = at('2026-03-02T12:00')
  const actions = [
    { replicas: 5, schedule: '0 9 * * *' },
    { replicas: 1, schedule: '0 18 * * *' },
  ]
  const kept = { 'scaling-actions': actions, 'scheduled-scaling-enabled': true }

  const open = async (extra: Record<string, unknown> = kept) => {
    let wallMs = noon
    const { createGroups } = await import('../groups/index.ts')
    const { createSealer } = await import('../secrets/index.ts')
    const sealer = createSealer([{ id: '00000001', key: Buffer.alloc(32, 7) }])
    const store = createMemoryStore()
    const groups = await createGroups(
      { replicasQuota: 100 },
      { store, sealer, logger: silentLogger, wallNowMs: () => wallMs },
    )
    await groups.create(scope, groupInput({ replicas: 3, kept: extra }))
    const clock = new FakeClock()
    const scaling = startScheduledScaling({
      ...{ groups, clock, wallMs: () => wallMs, logger: silentLogger },
    })
    const pass = async (time: string): Promise<void> => {
      wallMs = at(time)
      await clock.advance(5_000)
      await new Promise((resolve) => setImmediate(resolve))
    }
    const replicas = (): number => groups.get(scope, 'hello').replicas
    return { groups, scaling, pass, replicas }
  }

  it('scales when its time comes, leaves a later change alone, and catches up', async () => {
    const { groups, scaling, pass, replicas } = await open()
    try {
      await pass('2026-03-02T17:59')
      expect(replicas()).to.equal(3)
      await pass('2026-03-02T18:00')
      await eventually('scaled down', () => replicas() === 1)
      await pass('2026-03-02T18:30')
      await groups.update(scope, 'hello', () => ({ replicas: 7 }))
      await pass('2026-03-02T18:40')
      expect(replicas()).to.equal(7)
      // Away for days: only the newest of what fired counts.
      await pass('2026-03-05T10:00')
      await eventually('caught up', () => replicas() === 5)
    } finally {
      await scaling.stop()
    }
  })

  it('does nothing unless it is enabled', async () => {
    const { scaling, pass, replicas } = await open({ 'scaling-actions': actions })
    await pass('2026-03-05T10:00')
    await scaling.stop()
    expect(replicas()).to.equal(3)
  })
})
