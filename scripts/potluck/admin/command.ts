/**
 * What all commands of `potluck admin` have alike: which coordinator, which key, what is printed.
 * What was asked for goes to stdout, so that `… key create > file` holds a key and nothing else.
 */
import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import type { CliContext } from '../cli-context.ts'
import { UsageError } from '../report-error.ts'
import { type AdminClient, type Answer, createAdminClient } from './client.ts'

export type Shown = Readonly<{
  /** As the API answered. */
  json: Answer
  /** For people, without the last newline; empty: nothing to say. */
  text: string
  /** What does not belong into a file with the answer. */
  story?: string
}>

type Words = readonly string[]
export type Options = Readonly<Record<string, string | readonly string[] | boolean | undefined>>

export type CommandInit = Readonly<{
  /** `create <name>` */
  usage: string
  summary: string
  examples: readonly string[]
  options?: readonly (readonly [flags: string, description: string])[]
  /** Options that may be given several times. */
  lists?: readonly (readonly [flags: string, description: string])[]
  run(client: AdminClient, words: Words, options: Options): Promise<Shown>
}>

/** Where `potluck coordinator run` listens by default. */
const apiDefault = 'http://127.0.0.1:8080'

export function adminNoun(
  name: string,
  summary: string,
  commands: readonly CommandInit[],
  context: CliContext,
): Command {
  const noun = new Command(name).description(summary)
  for (const init of commands) noun.addCommand(adminCommand(init, context))
  return noun
}

function adminCommand(init: CommandInit, context: CliContext): Command {
  const [name = '', ...words] = init.usage.split(' ')
  const command = new Command(name).description(init.summary)
  for (const word of words) command.argument(word)
  for (const [flags, description] of init.options ?? []) command.option(flags, description)
  const more = (value: string, before: Words): Words => [...before, value]
  for (const list of init.lists ?? []) command.option<Words>(...list, more, [])
  command
    .option('--api <url>', `where the coordinator answers (env: POTLUCK_API; ${apiDefault})`)
    .option('--key-file <file>', 'file with the admin key (or the key itself in POTLUCK_ADMIN_KEY)')
    .option('--json', 'print one line of JSON on stdout')
    .option('--verbose', 'tell errors with all their causes')
    .addHelpText('after', ['', 'Examples:', ...init.examples.map((line) => `  ${line}`)].join('\n'))
  return command.action(async () => {
    const options = command.opts<Options>()
    const client = createAdminClient({ api: apiOf(options, context), key: keyOf(options, context) })
    const { json, text, story } = await init.run(client, command.args, options)
    if (options.json) context.stdout(`${JSON.stringify(json)}\n`)
    else if (text !== '') context.stdout(`${text}\n`)
    if (story !== undefined && !options.json) context.stderr(`${story}\n`)
  })
}

function apiOf({ api }: Options, { env }: CliContext): string {
  const [from, text] = typeof api === 'string' ? ['--api', api] : ['POTLUCK_API', env.POTLUCK_API]
  if (!text) return apiDefault
  const url = URL.parse(text)
  if (!url || !/^https?:$/.test(url.protocol)) {
    throw new UsageError(`${from} ${text} is not valid; give a URL such as ${apiDefault}`)
  }
  // What clients of the public API are given will do too.
  return url.href.replace(/\/+$/, '').replace(/\/api\/(public|admin)$/, '')
}

function keyOf({ keyFile }: Options, { env }: CliContext): string {
  const key = typeof keyFile === 'string' ? readKey(keyFile) : (env.POTLUCK_ADMIN_KEY ?? '').trim()
  if (key === '') {
    throw new UsageError(
      "no admin key: give --key-file or POTLUCK_ADMIN_KEY; the coordinator's first lies in admin-key of its data folder",
    )
  }
  // Else the HTTP client would quote it in an error.
  if (/[^\x21-\x7e]/.test(key)) {
    throw new UsageError('the admin key is not valid: it has spaces or characters beyond ASCII')
  }
  return key
}

function readKey(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch (error) {
    throw new UsageError(`--key-file ${file} cannot be read`, { cause: error })
  }
}

/** A whole number from a word. */
export function countOf(flag: string, text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text)
  throw new UsageError(`${flag} ${text} is not valid; give a whole number`)
}

/** Exactly as a list command of any noun shows it. */
export function listed(
  json: Answer,
  columns: Readonly<Record<string, (item: Answer) => string>>,
): Shown {
  const items = (Array.isArray(json.items) ? json.items : []) as readonly Answer[]
  return { json, text: table(items, columns) }
}

/** One thing, a line a field. */
export function detailed(json: Answer): Shown {
  const width = Math.max(...Object.keys(json).map((name) => name.length))
  const lines = Object.entries(json).map(([name, value]) => {
    return `${`${name}:`.padEnd(width + 1)} ${show(value)}`
  })
  return { json, text: lines.join('\n') }
}

export function show(value: unknown): string {
  if (value === null || value === undefined) return '-'
  if (Array.isArray(value)) return value.length === 0 ? '-' : value.map(show).join(', ')
  if (typeof value === 'object') {
    return Object.entries(value)
      .map(([name, item]) => `${name} ${show(item)}`)
      .join(' ')
  }
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function table(
  items: readonly Answer[],
  columns: Readonly<Record<string, (item: Answer) => string>>,
): string {
  const titles = Object.keys(columns)
  const rows = [titles, ...items.map((item) => Object.values(columns).map((cell) => cell(item)))]
  const widths = titles.map((_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)))
  const line = (row: Words): string =>
    row
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd()
  return rows.map(line).join('\n')
}
