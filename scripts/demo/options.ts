/** The flags of `npm run demo`. */
import { Command } from 'commander'

export type DemoOptions = Readonly<{ json: boolean; keep: boolean; verbose: boolean }>

/** @throws {CommanderError} a flag that is not there, or help was asked for. */
export function readOptions(args: readonly string[]): DemoOptions {
  const demo = new Command('demo')
    .description(
      'the main job on real parts: one pull of a private image, four nodes that hand it on, ' +
        'a lost node replaced; takes one to three minutes and leaves nothing',
    )
    .option('--json', 'print the figures as JSON, as the last line', false)
    .option('--keep', 'leave logs, settings and state in their folder', false)
    .option('--verbose', 'tell errors with all their causes', false)
    .addHelpText(
      'after',
      [
        '',
        'Needs root on Linux: network namespaces, and a Docker engine for each node.',
        '',
        'Examples:',
        '  npm run demo',
        '  npm run -s demo -- --json | tail -n 1',
      ].join('\n'),
    )
    .exitOverride()
  demo.parse([...args], { from: 'user' })
  return demo.opts<DemoOptions>()
}
