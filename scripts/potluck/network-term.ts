/** `potluck network term`: a coordinator that is restored, or whose keys are changed, in a new term. */
import { join, resolve } from 'node:path'
import { Command } from 'commander'
import { networkFiles } from '../network/files.ts'
import type { CliContext } from './cli-context.ts'
import { UsageError } from './report-error.ts'

type TermOptions = Readonly<{ dir: string; rootKey?: string; term?: string; json?: boolean }>

export function networkTermCommand(context: CliContext): Command {
  const command = new Command('term')
    .description('raise the term: after a restore from a backup, or to change the order key')
    .option('--dir <folder>', 'the folder that `network create` made', '.')
    .option('--root-key <file>', 'where the root key is kept; root.key in the folder')
    .option('--term <number>', 'this term instead of the next: above every one ever used')
    .option('--json', 'print one line of JSON on stdout')
    .option('--verbose', 'tell errors with all their causes')
    .addHelpText(
      'after',
      [
        '',
        'Stop the coordinator, put the backup in place, raise the term, start it again. Peers follow',
        'by themselves; give the new network.json to those that join from now on.',
        '',
        'Example:',
        '  potluck network term --dir my-network --root-key /media/safe/root.key',
      ].join('\n'),
    )
  command.action(async () => raise(command.opts<TermOptions>(), context))
  return command
}

async function raise(options: TermOptions, { stdout }: CliContext): Promise<void> {
  if (options.term !== undefined && !/^[1-9]\d{0,8}$/.test(options.term)) {
    throw new UsageError(`--term ${options.term} is not valid; give a whole number from 2 on`)
  }
  const dir = resolve(options.dir)
  const { writeTerm } = await import('../network/index.ts')
  const { term, network, coordinator } = await writeTerm({
    dir,
    rootKey: options.rootKey && resolve(options.rootKey),
    term: options.term === undefined ? undefined : Number(options.term),
    issuedMs: Date.now(),
  })
  const networkFile = join(dir, networkFiles.network)
  const result = { network, term, coordinator, networkFile }
  stdout(
    options.json
      ? `${JSON.stringify(result)}\n`
      : `Term ${term} of network ${network}\n  ${networkFile}: start the coordinator with it\n`,
  )
}
