/**
 * Whether a text is a schedule of five fields (minute, hour, day of month, month, day of week), as
 * crontab(5) has them. The contract's pattern lets `99 99 * * *` through, which would never come.
 */

type Field = Readonly<{ name: string; min: number; max: number; words?: readonly string[] }>

const fields: readonly Field[] = [
  { name: 'minute', min: 0, max: 59 },
  { name: 'hour', min: 0, max: 23 },
  { name: 'day of month', min: 1, max: 31 },
  {
    ...{ name: 'month', min: 1, max: 12 },
    words: 'jan feb mar apr may jun jul aug sep oct nov dec'.split(' '),
  },
  { name: 'day of week', min: 0, max: 7, words: 'sun mon tue wed thu fri sat'.split(' ') },
]

/** What is wrong with `text`, for people; undefined when nothing is. */
export function scheduleProblem(text: string): string | undefined {
  const parts = text.trim().split(/[\t ]+/)
  if (parts.length !== fields.length) return `must have five fields; got ${parts.length}`
  for (const [index, field] of fields.entries()) {
    const part = parts[index] ?? ''
    if (part.split(',').every((term) => isTerm(term, field))) continue
    const { name, min, max, words } = field
    const named = words ? `, ${words[0]} to ${words.at(-1)}` : ''
    return `its ${name} must be *, or numbers from ${min} to ${max}${named}, with "," "-" "/"; got ${JSON.stringify(part)}`
  }
  return undefined
}

/** `*`, `5`, `1-5`, `*\/10`, `8-18/2`. */
function isTerm(term: string, field: Field): boolean {
  const [, from, to, step] = /^(\*|[0-9A-Za-z]+)(?:-([0-9A-Za-z]+))?(?:\/(\d+))?$/.exec(term) ?? []
  if (from === undefined) return false
  if (step !== undefined && (Number(step) < 1 || Number(step) > field.max)) return false
  if (from === '*') return to === undefined
  const [first, last] = [numberOf(from, field), numberOf(to ?? from, field)]
  return first !== undefined && last !== undefined && first <= last
}

function numberOf(text: string, { min, max, words = [] }: Field): number | undefined {
  const word = words.indexOf(text.toLowerCase())
  const value = word >= 0 ? word + min : /^\d{1,2}$/.test(text) ? Number(text) : Number.NaN
  return value >= min && value <= max ? value : undefined
}
