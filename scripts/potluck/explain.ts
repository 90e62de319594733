/** `potluck explain`: why a group's replicas are where they are, or nowhere, asked of the API. */
import { readFile } from 'node:fs/promises'
import { Command } from 'commander'
import { Compile } from 'typebox/compile'
import { type ExplanationJson, ExplanationSchema } from '../../coordinator/api/schemas/explain.ts'
import { PotluckError } from '../../protocol/errors.ts'
import type { CliContext } from './cli-context.ts'
import { UsageError } from './report-error.ts'

type Options = Readonly<{ api?: string; keyFile?: string; json?: boolean }>

const apiDefault = 'http://127.0.0.1:8080/api/public'
/** It walks over all nodes, and a busy coordinator may take its time. */
const timeoutMs = 30_000
const answer = Compile(ExplanationSchema)

export function explainCommand(context: CliContext): Command {
  const command = new Command('explain')
    .description("why a container group's replicas are where they are, or wait")
    .argument('<group>', 'organization/project/container-group')
    .option('--api <url>', `where the coordinator answers (env: POTLUCK_API; ${apiDefault})`)
    .option('--key-file <file>', 'file with an API key (or the key itself in POTLUCK_API_KEY)')
    .option('--json', 'print the answer as one line of JSON on stdout')
    .option('--verbose', 'tell errors with all their causes')
    .addHelpText(
      'after',
      ['', 'Example:', '  potluck explain acme/web/hello --key-file api-keys/acme'].join('\n'),
    )
  command.action(async (group: string, options: Options) => {
    const found = await ask(group, options, context.env)
    context.stdout(options.json ? `${JSON.stringify(found)}\n` : textOf(group, found))
  })
  return command
}

async function ask(
  group: string,
  { api, keyFile }: Options,
  env: CliContext['env'],
): Promise<ExplanationJson> {
  const names = group.split('/')
  if (names.length !== 3 || names.some((name) => name === '')) {
    throw new UsageError(`${group} is not valid; give organization/project/container-group`)
  }
  const [organization = '', project = '', name = ''] = names.map(encodeURIComponent)
  const key = keyFile === undefined ? env.POTLUCK_API_KEY : await readKey(keyFile)
  if (!key) throw new UsageError('no API key: give --key-file or POTLUCK_API_KEY')
  const base = (api ?? env.POTLUCK_API ?? apiDefault).replace(/\/$/, '')
  if (!URL.canParse(base)) throw new UsageError(`--api ${base} is not a URL`)
  const url = `${base}/organizations/${organization}/projects/${project}/containers/${name}/explain`
  const signal = AbortSignal.timeout(timeoutMs)
  const response = await fetch(url, { headers: { 'Salad-Api-Key': key }, signal }).catch(
    (cause: unknown) => {
      throw new PotluckError('NO_COORDINATOR', `no coordinator answers at ${base}`, { cause })
    },
  )
  const body: unknown = await response.json().catch(() => undefined)
  if (response.ok && answer.Check(body)) return body
  const detail = (body as { detail?: unknown } | undefined)?.detail
  const what = typeof detail === 'string' ? detail : 'the answer is none of this version'
  throw new PotluckError('EXPLAIN_REFUSED', `${base} answered ${response.status}: ${what}`)
}

async function readKey(file: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).trim()
  } catch (cause) {
    throw new UsageError(`--key-file ${file} cannot be read`, { cause })
  }
}

function textOf(group: string, found: ExplanationJson): string {
  const { replicas, placed, waiting_seconds: waiting, removed, help, best } = found
  const scoreLine = (item: ExplanationJson['best'][number]): string => {
    const parts = Object.entries(item.parts).filter(([, value]) => value !== 0)
    const text = parts.map(([name, value]) => `${name} ${value.toFixed(1)}`).join(', ')
    return `${item.machine_id}  ${item.score.toFixed(1)}  (${text})`
  }
  return [
    `${group}: ${placed.length} of ${replicas} replicas placed; ${found.summary}`,
    ...(waiting === null ? [] : [`waiting for ${waiting} s`]),
    ...section(
      'placed',
      placed.map((item) => `${String(item.slot).padStart(4)}  ${scoreLine(item)}`),
    ),
    ...section('next', best.map(scoreLine)),
    ...section(
      'removed by',
      removed.map(({ reason, nodes }) => `${String(nodes).padStart(6)}  ${reason}`),
    ),
    ...section(
      'what would help',
      help.map(({ reason, nodes, text }) => `${reason} alone keeps out ${nodes}: ${text}`),
    ),
    '',
  ].join('\n')
}

function section(title: string, lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : [`${title}:`, ...lines.map((line) => `  ${line}`)]
}
