/**
 * What is wrong with a schedule that a tenant gives, field by field, by the rules that act on it. The
 * contract's pattern lets `99 99 * * *` through, which would never come.
 */
import { fieldsOf, readField, ScheduleInvalidError, scheduleFields } from './schedule.ts'

/** What is wrong with `text`, for people; undefined when nothing is. */
export function scheduleProblem(text: string): string | undefined {
  const parts = fieldsOf(text)
  const count = scheduleFields.length
  if (parts.length !== count) return `must have five fields; got ${parts.length}`
  for (const [index, field] of scheduleFields.entries()) {
    const part = parts[index] ?? ''
    try {
      readField(part, field, text)
    } catch (error) {
      if (!(error instanceof ScheduleInvalidError)) throw error
      const { name, min, max, names } = field
      const named = names ? `, ${names[0]} to ${names.at(-1)}` : ''
      return `its ${name} must be *, or numbers from ${min} to ${max}${named}, with "," "-" "/"; got ${JSON.stringify(part)}`
    }
  }
  return undefined
}
