/** Options of a bench from the command line. Each is named by the bench, and so is its kind. */
import { parseArgs } from 'node:util'
import type { BenchOption, BenchOptions, OptionValue } from './bench.ts'

/** @throws a sentence that says which option is wrong. */
export function readOptions(
  options: BenchOptions,
  args: readonly string[],
): Record<string, OptionValue> {
  const entries = Object.entries(options)
  const { values } = parseArgs({
    args: [...args],
    options: Object.fromEntries(
      entries.map(([name, { default: value }]) => [
        name,
        { type: typeof value === 'boolean' ? ('boolean' as const) : ('string' as const) },
      ]),
    ),
  })
  return Object.fromEntries(
    entries.map(([name, option]) => {
      const given = values[name]
      return [name, given === undefined ? option.default : readValue(name, option, given)]
    }),
  )
}

/** A line of help: how the option is written, what it is for, its default. */
export function describeOption(name: string, { description, default: value }: BenchOption): string {
  if (typeof value === 'boolean') return `--${name}  ${description}`
  const form = Array.isArray(value) ? 'N,N,…' : typeof value === 'number' ? 'N' : 'WORD'
  const usual = value === '' ? '' : ` (default ${value.toString()})`
  return `--${name} ${form}  ${description}${usual}`
}

function readValue(name: string, option: BenchOption, given: string | boolean): OptionValue {
  if (typeof given === 'boolean') return given
  const { default: usual, choices = [] } = option
  if (typeof usual === 'string') {
    if (choices.includes(given)) return given
    throw new Error(`--${name} ${given} is not valid; give one of ${choices.join(', ')}`)
  }
  const numbers = given.split(',').map(Number)
  if (numbers.some((number) => !(number > 0 && Number.isFinite(number)))) {
    throw new Error(`--${name} ${given} is not valid; give a number above 0`)
  }
  if (typeof usual !== 'number') return numbers
  if (numbers.length > 1) throw new Error(`--${name} ${given} is not valid; give one number`)
  return numbers[0] ?? usual
}
