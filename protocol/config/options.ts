/** Settings as command-line options, so that `--help` says what the schema says. */
import { type Command, Option } from 'commander'
import type { TObject } from 'typebox'
import { type ConfigNames, choicesOf, type Setting, settingsOf, showValue } from './fields.ts'

/** Adds one option a setting: description, default and environment variable in its help. */
export function addConfigOptions(command: Command, schema: TObject, names: ConfigNames): Command {
  for (const setting of settingsOf(schema, names)) {
    for (const option of optionsOf(setting)) command.addOption(option)
  }
  return command
}

/** What the user gave on the command line, by flag name, for `loadConfig`. */
export function configFlags(
  command: Command,
  schema: TObject,
  names: ConfigNames,
): Readonly<Record<string, unknown>> {
  const flags: [string, unknown][] = []
  for (const setting of settingsOf(schema, names)) {
    const name = new Option(`--${setting.flag} <x>`).attributeName()
    if (command.getOptionValueSource(name) === 'cli') {
      flags.push([setting.flag, command.getOptionValue(name)])
    }
  }
  return Object.fromEntries(flags)
}

function optionsOf(setting: Setting): readonly Option[] {
  const { flag, kind } = setting
  if (kind === 'boolean') {
    const off = new Option(`--no-${flag}`, `the opposite of --${flag}`)
    // Its presence would make commander invent a default of true.
    off.default(undefined)
    return [new Option(`--${flag}`, describe(setting)), off]
  }
  const option = new Option(`--${flag} <${placeholder(setting)}>`, describe(setting))
  if (kind === 'list') {
    option.argParser((value: string, before: readonly string[] | undefined) => [
      ...(before ?? []),
      value,
    ])
  }
  return [option]
}

function describe({ schema, kind, env, required, secret }: Setting): string {
  const choices = choicesOf(schema)
  const facts = [
    ...(choices ? [`one of: ${choices.join(', ')}`] : []),
    ...(required ? ['required'] : []),
    ...(kind === 'list' ? ['repeatable'] : []),
    ...(schema.default === undefined || secret
      ? []
      : [`default: ${showValue(kind, schema.default)}`]),
    `env: ${env}`,
  ]
  return `${schema.description} (${facts.join('; ')})`
}

function placeholder({ kind, itemKind, flag }: Setting): string {
  const last = flag.slice(flag.lastIndexOf('-') + 1)
  if (kind === 'bytes') return 'size'
  if (kind === 'rate') return 'rate'
  if (kind === 'choice' || kind === 'string') return last
  return kind === 'list' ? (itemKind ?? last) : kind
}
