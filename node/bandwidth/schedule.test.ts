import { expect } from 'chai'
import { unlimitedBitsPerS } from '../../protocol/config/index.ts'
import { limitsAt, parseWindow, ScheduleError, type WallClock, wallClockAt } from './schedule.ts'

const at = (day: number, time: string): WallClock => {
  const [hour = 0, minute = 0] = time.split(':').map(Number)
  return { day, minute: hour * 60 + minute }
}
const [sun, mon, fri, sat] = [0, 1, 5, 6] as const

describe('node/bandwidth: schedule', () => {
  const zone = process.env.TZ
  before(() => {
    process.env.TZ = 'Europe/Berlin'
  })
  after(() => {
    if (zone === undefined) delete process.env.TZ
    else process.env.TZ = zone
  })

  it('holds a window on its days, from its first minute to before its last', () => {
    const windows = [parseWindow('Mon-Fri 08:00-18:00 upload 2mbit download 20mbit')]
    const usual = { uploadBitsPerS: 10e6 }
    const during = { uploadBitsPerS: 2e6, downloadBitsPerS: 20e6 }
    expect(limitsAt(usual, windows, at(mon, '08:00'))).to.deep.equal(during)
    expect(limitsAt(usual, windows, at(fri, '17:59'))).to.deep.equal(during)
    for (const now of [at(mon, '07:59'), at(fri, '18:00'), at(sat, '12:00')]) {
      expect(limitsAt(usual, windows, now)).to.deep.equal(usual)
    }
  })

  it('goes over midnight, from the day on which it began', () => {
    const windows = [parseWindow('fri 22:00-06:00 upload unlimited')]
    const open = { uploadBitsPerS: unlimitedBitsPerS }
    expect(limitsAt({}, windows, at(fri, '23:30'))).to.deep.equal(open)
    expect(limitsAt({}, windows, at(sat, '05:59'))).to.deep.equal(open)
    expect(limitsAt({}, windows, at(sat, '06:00'))).to.deep.equal({})
    expect(limitsAt({}, windows, at(fri, '05:00'))).to.deep.equal({})
    expect(limitsAt({}, windows, at(sat, '23:00'))).to.deep.equal({})
    const week = [parseWindow('sat 20:00-04:00 download 1mbit')]
    expect(limitsAt({}, week, at(sun, '03:00'))).to.deep.equal({ downloadBitsPerS: 1e6 })
  })

  it('takes of each direction the first window that names it', () => {
    const windows = [
      parseWindow('daily 12:00-13:00 upload 1mbit'),
      parseWindow('daily 00:00-24:00 upload 5mbit download 50mbit'),
    ]
    expect(limitsAt({}, windows, at(mon, '12:30'))).to.deep.equal({
      ...{ uploadBitsPerS: 1e6, downloadBitsPerS: 50e6 },
    })
    expect(limitsAt({}, windows, at(mon, '23:59')).uploadBitsPerS).to.equal(5e6)
  })

  it('knows lists and ranges of days, over the week’s end too', () => {
    expect([...parseWindow('sat+sun 1:00-2:00 upload 1mbit').days]).to.deep.equal([6, 0])
    expect([...parseWindow('fri-mon 1:00-2:00 upload 1mbit').days]).to.deep.equal([5, 6, 0, 1])
  })

  it('goes by the clock on the wall when summer time comes and goes', () => {
    const clock = (utc: string) => wallClockAt(Date.parse(utc))
    const night = [parseWindow('daily 02:00-03:00 upload 1mbit')]
    const isOpen = (utc: string) => limitsAt({}, night, clock(utc)).uploadBitsPerS !== undefined
    // 29 March 2026, 02:00 does not come: 01:59 is followed by 03:00.
    expect(clock('2026-03-29T00:59:00Z')).to.deep.equal(at(sun, '01:59'))
    expect(clock('2026-03-29T01:00:00Z')).to.deep.equal(at(sun, '03:00'))
    expect(isOpen('2026-03-29T00:59:00Z') || isOpen('2026-03-29T01:00:00Z')).to.equal(false)
    // 25 October 2026, 02:00 to 03:00 comes twice.
    expect(isOpen('2026-10-25T00:30:00Z') && isOpen('2026-10-25T01:30:00Z')).to.equal(true)
    expect(isOpen('2026-10-25T02:00:00Z')).to.equal(false)
  })

  const refused: readonly (readonly [string, string])[] = [
    ['', 'its days ""'],
    ['mo 08:00-18:00 upload 1mbit', 'its days "mo"'],
    ['mon-tue-wed 08:00-18:00 upload 1mbit', 'its days "mon-tue-wed"'],
    ['mon 8-18 upload 1mbit', 'its times "8-18"'],
    ['mon 08:00-24:01 upload 1mbit', 'its times "08:00-24:01"'],
    ['mon 08:60-09:00 upload 1mbit', 'its times'],
    ['mon 08:00-08:00 upload 1mbit', 'the same time'],
    ['mon 08:00-18:00', 'it has no rate'],
    ['mon 08:00-18:00 upload', 'its upload rate ""'],
    ['mon 08:00-18:00 upload 1MB', 'its upload rate "1mb"'],
    ['mon 08:00-18:00 upload 1kbit', 'at least 8kbit'],
    ['mon 08:00-18:00 up 1mbit', '"up" is neither'],
    ['mon 08:00-18:00 upload 1mbit upload 2mbit', 'two upload rates'],
  ]
  for (const [text, problem] of refused) {
    it(`refuses ${JSON.stringify(text)}, and says why`, () => {
      expect(() => parseWindow(text)).to.throw(ScheduleError, problem)
    })
  }
})
