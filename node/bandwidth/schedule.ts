/**
 * When which limit holds: windows of the week with rates of their own, by the clock on the chef's
 * wall. A window that a change to summer time skips is not there that day, and one that the change
 * back repeats lasts an hour longer, as the wall clock shows it. Pure; the caller brings the time.
 */
import { parseBitRate } from '../../protocol/config/index.ts'
import { PotluckError } from '../../protocol/errors.ts'

/** Bits a second on the line; absent: the chef said nothing. */
export type Limits = Readonly<{ uploadBitsPerS?: number; downloadBitsPerS?: number }>

/** Minutes are those of the local day; `toMinute` at or before `fromMinute` is on the next day. */
export type Window = Readonly<{
  /** 0 Sunday to 6 Saturday: the days on which it begins. */
  days: ReadonlySet<number>
  fromMinute: number
  toMinute: number
  limits: Limits
}>

export type WallClock = Readonly<{ day: number; minute: number }>

export class ScheduleError extends PotluckError {
  constructor(text: string, problem: string) {
    super(
      'SCHEDULE_INVALID',
      `${JSON.stringify(text)} is not a window: ${problem}; ` +
        'valid is DAYS FROM-TO RATES, such as "mon-fri 08:00-18:00 upload 2mbit download 20mbit", ' +
        '"sat+sun 22:00-07:00 upload unlimited" or "daily 00:00-24:00 download 50mbit"',
    )
  }
}

const dayNames = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']
const dayMinutes = 24 * 60

/** One window as people write it. @throws {ScheduleError} says what is wrong with which word. */
export function parseWindow(text: string): Window {
  const [days = '', times = '', ...rates] = text.trim().toLowerCase().split(/\s+/)
  return {
    days: parseDays(days, text),
    ...parseTimes(times, text),
    limits: parseRates(rates, text),
  }
}

/** What holds at `now`: of each direction the first window that names it, else `usual`. */
export function limitsAt(usual: Limits, windows: readonly Window[], now: WallClock): Limits {
  const open = windows.filter((window) => isOpen(window, now)).map(({ limits }) => limits)
  const all = [...open, usual]
  const up = all.find(({ uploadBitsPerS }) => uploadBitsPerS !== undefined)?.uploadBitsPerS
  const down = all.find(({ downloadBitsPerS }) => downloadBitsPerS !== undefined)?.downloadBitsPerS
  return {
    ...(up === undefined ? {} : { uploadBitsPerS: up }),
    ...(down === undefined ? {} : { downloadBitsPerS: down }),
  }
}

/** What the clock on this machine's wall shows. */
export function wallClockAt(wallMs: number): WallClock {
  const date = new Date(wallMs)
  return { day: date.getDay(), minute: date.getHours() * 60 + date.getMinutes() }
}

function isOpen({ days, fromMinute, toMinute }: Window, { day, minute }: WallClock): boolean {
  if (fromMinute < toMinute) return days.has(day) && minute >= fromMinute && minute < toMinute
  // Over midnight: it belongs to the day on which it began.
  const yesterday = (day + 6) % 7
  return (days.has(day) && minute >= fromMinute) || (days.has(yesterday) && minute < toMinute)
}

function parseDays(word: string, text: string): ReadonlySet<number> {
  if (word === 'daily') return new Set(dayNames.keys())
  const days = new Set<number>()
  for (const part of word.split('+')) {
    const [from = -1, to = from, more] = part.split('-').map((name) => dayNames.indexOf(name))
    if (from < 0 || to < 0 || more !== undefined) {
      const names = [...dayNames.slice(1), 'sun'].join(', ')
      throw new ScheduleError(text, `its days "${word}" are none; days are daily, or of ${names}`)
    }
    for (let day = from; ; day = (day + 1) % 7) {
      days.add(day)
      if (day === to) break
    }
  }
  return days
}

function parseTimes(word: string, text: string): { fromMinute: number; toMinute: number } {
  const match = /^(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})$/.exec(word)
  const [fromHour = 99, fromMin = 99, toHour = 99, toMin = 99] = (match ?? []).slice(1).map(Number)
  const from = fromHour * 60 + fromMin
  const to = toHour * 60 + toMin
  const isTime = fromMin < 60 && toMin < 60 && from < dayMinutes && to <= dayMinutes
  if (!isTime) throw new ScheduleError(text, `its times "${word}" are not of the form 08:00-18:00`)
  if (from === to) {
    throw new ScheduleError(text, `it begins and ends at the same time; all day is 00:00-24:00`)
  }
  return { fromMinute: from, toMinute: to }
}

function parseRates(words: readonly string[], text: string): Limits {
  const rates = new Map<string, number>()
  for (let at = 0; at < words.length; at += 2) {
    const [direction = '', rate = ''] = words.slice(at, at + 2)
    if (direction !== 'upload' && direction !== 'download') {
      throw new ScheduleError(text, `"${direction}" is neither upload nor download`)
    }
    const bitsPerS = parseBitRate(rate)
    if (bitsPerS === undefined || bitsPerS < leastBitsPerS) {
      const valid = 'bits a second with their unit such as 2mbit, at least 8kbit, or unlimited'
      throw new ScheduleError(text, `its ${direction} rate "${rate}" is not valid; it is ${valid}`)
    }
    if (rates.has(direction)) throw new ScheduleError(text, `it has two ${direction} rates`)
    rates.set(direction, bitsPerS)
  }
  if (rates.size === 0) throw new ScheduleError(text, 'it has no rate')
  const [up, down] = [rates.get('upload'), rates.get('download')]
  return {
    ...(up === undefined ? {} : { uploadBitsPerS: up }),
    ...(down === undefined ? {} : { downloadBitsPerS: down }),
  }
}

/** Below, a chunk takes a minute, and peers take us for stalled. */
export const leastBitsPerS = 8_000
