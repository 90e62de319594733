/**
 * Five-field cron schedules (minute, hour, day of month, month, day of week; UTC), as SaladCloud's
 * `scaling_actions` have them: `*`, numbers, ranges, steps, lists, names of months and days, Sunday
 * as 0 or 7. As in cron(8), where both days are given one of them is enough. Pure.
 */
import { PotluckError } from '../../protocol/errors.ts'

export class ScheduleInvalidError extends PotluckError {
  constructor(schedule: string, problem: string) {
    super('SCHEDULE_INVALID', `the schedule ${JSON.stringify(schedule)} is not valid: ${problem}`, {
      fields: { schedule },
    })
  }
}

export type Schedule = Readonly<{
  minutes: ReadonlySet<number>
  hours: ReadonlySet<number>
  days: ReadonlySet<number>
  months: ReadonlySet<number>
  weekdays: ReadonlySet<number>
  /** Whether each of the two kinds of day was left open. */
  anyDay: boolean
  anyWeekday: boolean
}>

const monthNames = 'jan feb mar apr may jun jul aug sep oct nov dec'.split(' ')
const dayNames = 'sun mon tue wed thu fri sat'.split(' ')

type Field = Readonly<{ name: string; min: number; max: number; names?: readonly string[] }>
export const scheduleFields: readonly [Field, Field, Field, Field, Field] = [
  { name: 'minute', min: 0, max: 59 },
  { name: 'hour', min: 0, max: 23 },
  { name: 'day of month', min: 1, max: 31 },
  { name: 'month', min: 1, max: 12, names: monthNames },
  { name: 'day of week', min: 0, max: 7, names: dayNames },
]

/** The texts of a schedule's fields, however many they are. */
export function fieldsOf(text: string): readonly string[] {
  return text.trim().split(/[\t ]+/)
}

/** @throws {ScheduleInvalidError} */
export function parseSchedule(text: string): Schedule {
  const parts = fieldsOf(text)
  if (parts.length !== 5) {
    throw new ScheduleInvalidError(text, `it has ${parts.length} fields; give five`)
  }
  const [minutes, hours, days, months, weekdays] = scheduleFields.map((field, at) =>
    readField(parts[at] ?? '', field, text),
  ) as [Set<number>, Set<number>, Set<number>, Set<number>, Set<number>]
  return {
    ...{ minutes, hours, days, months },
    weekdays: new Set([...weekdays].map((day) => day % 7)),
    anyDay: parts[2]?.startsWith('*') ?? true,
    anyWeekday: parts[4]?.startsWith('*') ?? true,
  }
}

/** The values that a field names. @param whole the schedule, for the error @throws {ScheduleInvalidError} */
export function readField(text: string, field: Field, whole: string): Set<number> {
  const values = new Set<number>()
  const fail = (problem: string): never => {
    throw new ScheduleInvalidError(whole, `${field.name} ${problem}`)
  }
  const read = (word: string): number => {
    const named = field.names?.indexOf(word.toLowerCase()) ?? -1
    if (named >= 0) return named + field.min
    const value = /^\d{1,2}$/.test(word) ? Number(word) : Number.NaN
    if (value >= field.min && value <= field.max) return value
    return fail(`is ${JSON.stringify(word)}; give ${field.min} to ${field.max}`)
  }
  for (const item of text.split(',')) {
    const [range = '', stepText, ...more] = item.split('/')
    if (more.length > 0) fail(`has more than one step: ${item}`)
    const step = stepText === undefined ? 1 : /^\d+$/.test(stepText) ? Number(stepText) : 0
    if (stepText !== undefined && (step < 1 || step > field.max)) {
      fail(`has the step ${stepText}; give a number from 1 to ${field.max}`)
    }
    const [first = '', last, ...rest] = range.split('-')
    if (rest.length > 0) fail(`has no such range: ${range}`)
    const from = range === '*' ? field.min : read(first)
    const open = range === '*' || (stepText !== undefined && last === undefined)
    const to = open ? field.max : last === undefined ? from : read(last)
    if (to < from) fail(`has a range that ends before it begins: ${range}`)
    for (let value = from; value <= to; value += step) values.add(value)
  }
  return values
}

const minuteMs = 60_000
const dayMs = 86_400_000
/** 29 February on one weekday comes once in 28 years, and over 2100 once in 40. */
const daysMax = 366 * 41

function isDay({ days, months, weekdays, anyDay, anyWeekday }: Schedule, dayStartMs: number) {
  const date = new Date(dayStartMs)
  if (!months.has(date.getUTCMonth() + 1)) return false
  const isMonthDay = days.has(date.getUTCDate())
  const isWeekday = weekdays.has(date.getUTCDay())
  return anyDay || anyWeekday ? isMonthDay && isWeekday : isMonthDay || isWeekday
}

/** Minutes of a day at which it fires. */
function minutesOf({ hours, minutes }: Schedule): readonly number[] {
  return [...hours]
    .flatMap((hour) => [...minutes].map((minute) => hour * 60 + minute))
    .sort((a, b) => a - b)
}

/** The first time after `afterMs` (wall clock); undefined: never, as on 30 February. */
export function nextFiringMs(schedule: Schedule, afterMs: number): number | undefined {
  const times = minutesOf(schedule)
  let dayStartMs = Math.floor(afterMs / dayMs) * dayMs
  for (let day = 0; day < daysMax; day++, dayStartMs += dayMs) {
    if (!isDay(schedule, dayStartMs)) continue
    const minute = times.find((time) => dayStartMs + time * minuteMs > afterMs)
    if (minute !== undefined) return dayStartMs + minute * minuteMs
  }
  return undefined
}

/** The last time at or before `untilMs`, and after `afterMs`. */
export function lastFiringMs(
  schedule: Schedule,
  { afterMs, untilMs }: Readonly<{ afterMs: number; untilMs: number }>,
): number | undefined {
  const times = minutesOf(schedule)
  let dayStartMs = Math.floor(untilMs / dayMs) * dayMs
  for (let day = 0; day < daysMax && dayStartMs + dayMs > afterMs; day++, dayStartMs -= dayMs) {
    if (!isDay(schedule, dayStartMs)) continue
    const minute = times.findLast((time) => dayStartMs + time * minuteMs <= untilMs)
    if (minute === undefined) continue
    const firingMs = dayStartMs + minute * minuteMs
    return firingMs > afterMs ? firingMs : undefined
  }
  return undefined
}
