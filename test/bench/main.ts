/** `npm run -s bench -- NAME [--option N]…`: runs one bench and prints its figures as the last line. */
import { parseArgs } from 'node:util'
import { suggest } from '../../protocol/config/index.ts'
import { describeError } from '../../protocol/errors.ts'
import type { Bench } from './bench.ts'
import { chunks } from './chunks.ts'
import { pair } from './pair.ts'

const benches: Readonly<Record<string, Bench>> = { chunks, pair }

function help(): string {
  const lines = Object.entries(benches).flatMap(([name, { summary, options }]) => [
    `  ${name.padEnd(10)} ${summary}`,
    ...Object.entries(options).map(
      ([option, { description, default: value }]) =>
        `  ${' '.repeat(10)}   --${option} N  ${description} (default ${value})`,
    ),
  ])
  return ['usage: npm run -s bench -- NAME [--option N]…', '', ...lines, ''].join('\n')
}

/** @throws a sentence that says which option is wrong. */
function readOptions(bench: Bench, args: readonly string[]): Record<string, number> {
  const known = Object.keys(bench.options)
  const { values } = parseArgs({
    args: [...args],
    options: Object.fromEntries(known.map((name) => [name, { type: 'string' as const }])),
  })
  return Object.fromEntries(
    known.map((name) => {
      const text = values[name]
      const value = text === undefined ? bench.options[name]?.default : Number(text)
      if (value === undefined || !(value > 0)) {
        throw new Error(`--${name} ${String(text)} is not valid; give a number above 0`)
      }
      return [name, value]
    }),
  )
}

async function main(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args
  if (name === undefined || name === '--help') {
    process.stdout.write(help())
    return name === undefined ? 2 : 0
  }
  const bench = benches[name]
  if (!bench) {
    const near = suggest(name, Object.keys(benches))
    process.stderr.write(
      `bench: there is no ${name}${near ? `; did you mean ${near}?` : ''}\n${help()}`,
    )
    return 2
  }
  let options: Record<string, number>
  try {
    options = readOptions(bench, rest)
  } catch (error) {
    process.stderr.write(`bench ${name}: ${describeError(error)}\n`)
    return 2
  }
  const figures = await bench.run(options, (line) => process.stderr.write(`${line}\n`))
  process.stdout.write(`${JSON.stringify(figures)}\n`)
  return 0
}

process.exitCode = await main(process.argv.slice(2))
