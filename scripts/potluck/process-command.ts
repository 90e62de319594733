/** `potluck NOUN run`: the command of a process, its options made from the process's own schema. */
import assert from 'node:assert/strict'
import { Command } from 'commander'
import Type, { type TObject } from 'typebox'
import { addConfigOptions, configFlags, loadConfig } from '../../protocol/config/index.ts'
import { createLogger, logLevels } from '../../protocol/log/index.ts'
import type { CliContext } from './cli-context.ts'
import type { ProcessEntry, ProcessModule } from './process-module.ts'
import { runProcess } from './run-process.ts'

/** What every process has beside its own settings. */
const logSection = Type.Object({
  level: Type.Union(
    logLevels.map((level) => Type.Literal(level)),
    { description: 'how much is logged, to stderr', default: 'info' },
  ),
  pretty: Type.Boolean({ description: 'logs for people instead of JSON lines', default: false }),
})

/** @param module Absent where only the name is needed; then `--help` of it lists no options. */
export function processCommand(
  entry: ProcessEntry,
  module: ProcessModule | undefined,
  context: CliContext,
): Command {
  const noun = new Command(entry.name).description(entry.summary)
  const run = noun.command('run').description(`run the ${entry.name} until SIGTERM or SIGINT`)
  if (!module) return noun
  const schema = withLog(module.configSchema)
  const names = { name: entry.name }
  const fileEnv = `POTLUCK_${entry.name.toUpperCase()}_CONFIG`
  run
    .option('--config <file>', `settings as TOML, outranked by env and flags (env: ${fileEnv})`)
    .option('--json', 'when ready, print one line of JSON on stdout')
    .option('--verbose', 'tell errors with all their causes')
  addConfigOptions(run, schema, names)
  run.addHelpText(
    'after',
    ['', 'Examples:', ...entry.examples.map((line) => `  ${line}`)].join('\n'),
  )
  run.action(async () => {
    const { config: file = context.env[fileEnv] || undefined, json = false } = run.opts<{
      config?: string
      json?: boolean
    }>()
    const load = () =>
      loadConfig({
        ...{ schema, ...names, file, env: context.env },
        flags: configFlags(run, schema, names),
        ignoreEnv: [fileEnv],
        check: (config) => module.checkConfig?.(config) ?? [],
      })
    const config = load()
    const { log } = config
    const logger = createLogger({ level: log.level, name: entry.name, pretty: log.pretty })
    context.exitCode = await runProcess({
      ...{ module, config, logger, events: context.events },
      // Without a file there is nothing that could have changed.
      ...(file === undefined ? {} : { reload: load }),
      onReady: (info) => {
        logger.info({ info }, 'ready')
        if (json) context.stdout(`${JSON.stringify({ process: entry.name, ...info })}\n`)
      },
    })
  })
  return noun
}

function withLog(schema: TObject) {
  assert(!('log' in schema.properties), 'the section `log` is added by the binary')
  return Type.Object({ ...schema.properties, log: logSection })
}
