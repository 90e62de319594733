/** Builds the commands, runs the one that was asked for, and turns what happens into an exit code. */
import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import { adminCommand } from './admin/index.ts'
import { auditCommand } from './audit.ts'
import type { CliContext } from './cli-context.ts'
import { devCommand } from './dev.ts'
import type { ExitCode } from './exit-codes.ts'
import { explainCommand } from './explain.ts'
import { networkCommand } from './network.ts'
import { processCommand } from './process-command.ts'
import { errorText, exitCodeOf } from './report-error.ts'

/** Runs `args` (without interpreter and script). Never rejects. */
export async function main(args: readonly string[], context: CliContext): Promise<ExitCode> {
  try {
    const program = await createProgram(args, context)
    await program.parseAsync([...args], { from: 'user' })
    return context.exitCode
  } catch (error) {
    const text = errorText(error, { verbose: args.includes('--verbose') })
    if (text) context.stderr(`${text}\n`)
    return exitCodeOf(error)
  }
}

async function createProgram(args: readonly string[], context: CliContext): Promise<Command> {
  const program = new Command('potluck')
    .description("A GPU cloud made of other people's PCs.")
    .version(version(), '--version', 'print the version')
    .helpOption('--help', 'print help')
    .helpCommand('help [command]', 'print help for a command')
  program.addCommand(devCommand(context))
  program.addCommand(networkCommand(context))
  program.addCommand(adminCommand(context))
  program.addCommand(explainCommand(context))
  program.addCommand(auditCommand(context))
  for (const entry of context.processes) {
    // Only the process that is meant is loaded: it brings libp2p, Docker's client and more.
    const module = args.find((word) => !word.startsWith('-') && word !== 'help') === entry.name
    const noun = processCommand(entry, module ? await entry.load() : undefined, context)
    if (module) for (const more of (await entry.commands?.(context)) ?? []) noun.addCommand(more)
    program.addCommand(noun)
  }
  program.addHelpText(
    'after',
    [
      '',
      'Examples:',
      '  potluck dev --engine simulated',
      '  potluck network create --dir kitchen --coordinator-address /ip4/203.0.113.7/tcp/4001',
      '  potluck node run --help',
      '',
      'Exit codes: 0 done, 1 failed, 2 wrong command line or configuration, 3 no coordinator.',
    ].join('\n'),
  )
  for (const command of withDescendants(program)) settle(command, context)
  return program
}

/** Errors come to us, output goes where the context says; commander copies neither to children. */
function settle(command: Command, { stdout, stderr }: CliContext): void {
  command
    .exitOverride()
    .helpOption('--help', 'print help')
    .configureHelp({ helpWidth: 100, sortSubcommands: false })
    .configureOutput({
      writeOut: stdout,
      writeErr: stderr,
      outputError: (text, write) => write(text.replace(/^error:/, 'potluck:')),
    })
    .showHelpAfterError(`(${path(command)} --help says what is valid)`)
}

function* withDescendants(command: Command): Generator<Command> {
  yield command
  for (const child of command.commands) yield* withDescendants(child)
}

function path(command: Command): string {
  return command.parent ? `${path(command.parent)} ${command.name()}` : command.name()
}

function version(): string {
  const url = new URL('../../package.json', import.meta.url)
  const { version } = JSON.parse(readFileSync(url, 'utf8')) as { version: string }
  return version
}
