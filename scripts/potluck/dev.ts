/** `potluck dev`: a whole network on this machine, for trying and for writing clients. */
import { enableCompileCache } from 'node:module'
import { Command, Option } from 'commander'
import { compileCache } from '../dev/compile-cache.ts'
import type { CliContext } from './cli-context.ts'
import { exitCodes } from './exit-codes.ts'
import { UsageError } from './report-error.ts'

type Options = Readonly<{
  engine?: 'docker' | 'simulated'
  nodes: string
  port: string
  rateLimit: string
  json?: boolean
}>

const nodesMax = 50

export function devCommand(context: CliContext): Command {
  const dev = new Command('dev')
    .description('run a whole network on this machine, with throwaway state, until Ctrl-C')
    .addOption(
      new Option(
        '--engine <kind>',
        'docker: real engines and a registry (root); simulated: neither',
      )
        .choices(['docker', 'simulated'])
        .default('docker'),
    )
    .option('--nodes <count>', `how many nodes, 1 to ${nodesMax}`, '3')
    .option('--port <port>', 'port of the HTTP API; 0: any that is free', '0')
    .option('--rate-limit <count>', 'requests a minute of one API key; 0: no limit', '0')
    .option('--json', 'when ready, print one line of JSON on stdout')
    .option('--verbose', 'tell errors with all their causes')
    .addHelpText(
      'after',
      [
        '',
        'Examples:',
        '  potluck dev',
        '  potluck dev --engine simulated --nodes 10',
        '  potluck dev --json | head -n 1',
      ].join('\n'),
    )
  dev.action(async () => {
    const { engine = 'docker', nodes, port, rateLimit, json = false } = dev.opts<Options>()
    const options = {
      engine,
      nodes: wholeNumber('--nodes', nodes, 1, nodesMax),
      port: wholeNumber('--port', port, 0, 65_535),
      rateLimit: wholeNumber('--rate-limit', rateLimit, 0, 1_000_000),
      json,
    }
    enableCompileCache(compileCache)
    const { runDev } = await import('../dev/index.ts')
    await runDev(options, context)
    context.exitCode = exitCodes.ok
  })
  return dev
}

function wholeNumber(flag: string, text: string, min: number, max: number): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= min && value <= max) return value
  throw new UsageError(`${flag} ${text} is not valid; give a whole number from ${min} to ${max}`)
}
