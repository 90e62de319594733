/** `potluck node report`: an alarm by whoever runs the machine; what is suspect is stopped at once. */
import { homedir } from 'node:os'
import { resolve } from 'node:path'
import { Command, Option } from 'commander'
import { type AlarmAnswer, type AlarmRequest, raiseAlarm } from '../../node/security/index.ts'
import type { SlotId } from '../../protocol/ids.ts'
import type { CommandOutput } from './process-module.ts'
import { UsageError } from './report-error.ts'

type Options = Readonly<{
  dataDir: string
  suspect: AlarmRequest['suspect']
  slot?: string
  sensor: string
  rule: string
  text: string
  json?: boolean
}>

export function nodeReportCommand({ stdout }: CommandOutput): Command {
  return new Command('report')
    .description(
      'raise a security alarm: a running node stops what is suspect and tells its network',
    )
    .option('--data-dir <folder>', "the node's data folder", '~/.local/share/potluck/node')
    .addOption(
      new Option('--suspect <what>', 'workload: one container; host: this machine, so all of them')
        .choices(['workload', 'host'])
        .makeOptionMandatory(),
    )
    .option('--slot <slot>', 'the slot of the suspect workload; the only one that runs by default')
    .option('--sensor <name>', 'who noticed: lower-case letters, digits, dots, dashes', 'operator')
    .option('--rule <name>', 'what it goes by', 'manual')
    .option('--text <text>', 'what was seen', '')
    .option('--json', 'print one line of JSON')
    .addHelpText(
      'after',
      [
        '',
        'A suspect host is banned until the network’s operator lifts it; a suspect workload’s group gets',
        'no new instances until the operator has looked.',
        '',
        'Examples:',
        '  potluck node report --suspect workload --text "it scans my LAN"',
        '  potluck node report --suspect host --rule "unknown root login"',
      ].join('\n'),
    )
    .action(async (options: Options) => {
      const answer = await raiseAlarm(folderOf(options.dataDir), requestOf(options))
      stdout(options.json ? `${JSON.stringify(answer)}\n` : `${describe(answer)}\n`)
    })
}

function requestOf({ suspect, slot, sensor, rule, text }: Options): AlarmRequest {
  if (!/^[a-z0-9][a-z0-9.-]{0,63}$/.test(sensor)) {
    throw new UsageError(
      `--sensor ${JSON.stringify(sensor)} is not valid; give lower-case letters, digits, dots, dashes`,
    )
  }
  if (suspect === 'host' && slot !== undefined) {
    throw new UsageError('--slot goes with --suspect workload; a suspect host stops all slots')
  }
  const shortened = { rule: rule.slice(0, 128), text: text.slice(0, 2_000) }
  return { suspect, sensor, ...shortened, ...(slot === undefined ? {} : { slot: slot as SlotId }) }
}

function describe({ id, slots, stopped }: AlarmAnswer): string {
  const what = slots.length === 0 ? 'nothing ran' : `${slots.join(', ')} told to stop`
  const end = stopped ? '' : '; the engine is slow, look at it'
  return `report ${id}: ${what}${end}`
}

function folderOf(path: string): string {
  return resolve(path.replace(/^~(?=\/)/, homedir()))
}
