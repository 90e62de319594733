/** `npm run -s bench -- NAME [--option VALUE]…`: runs one bench and prints its figures as the last line. */
import { suggest } from '../../protocol/config/index.ts'
import { describeError } from '../../protocol/errors.ts'
import type { Bench, OptionValue } from './bench.ts'
import { chunks } from './chunks.ts'
import { idle } from './idle/index.ts'
import { pair } from './pair.ts'
import { plot } from './plot/index.ts'
import { describeOption, readOptions } from './read-options.ts'
import { scheduler } from './scheduler/index.ts'
import { sim } from './sim/index.ts'
import { swarm } from './swarm/index.ts'
import { swarmSim } from './swarm-sim/index.ts'

const benches: Readonly<Record<string, Bench>> = {
  chunks,
  idle,
  pair,
  sim,
  plot,
  scheduler,
  swarm,
  'swarm-sim': swarmSim,
}

function help(): string {
  const lines = Object.entries(benches).flatMap(([name, { summary, options }]) => [
    `  ${name.padEnd(10)} ${summary}`,
    ...Object.entries(options).map(
      ([option, spec]) => `  ${' '.repeat(10)}   ${describeOption(option, spec)}`,
    ),
  ])
  return ['usage: npm run -s bench -- NAME [--option VALUE]…', '', ...lines, ''].join('\n')
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
  let options: Record<string, OptionValue>
  try {
    options = readOptions(bench.options, rest)
  } catch (error) {
    process.stderr.write(`bench ${name}: ${describeError(error)}\n`)
    return 2
  }
  const figures = await bench.run(options, (line) => process.stderr.write(`${line}\n`))
  process.stdout.write(`${JSON.stringify(figures)}\n`)
  return 0
}

process.exitCode = await main(process.argv.slice(2))
