/** `potluck admin key`: API keys of organizations, users and operators. */
import type { Command } from 'commander'
import { parseDurationMs } from '../../../protocol/config/index.ts'
import type { CliContext } from '../cli-context.ts'
import { UsageError } from '../report-error.ts'
import { type Answer, part } from './client.ts'
import { adminNoun, detailed, listed, type Options, show } from './command.ts'

function ownerOf({ organization, projects, user, admin }: Answer): string {
  if (admin === true) return 'operators'
  if (typeof user === 'string') return `user ${user}`
  return Array.isArray(projects)
    ? `${show(organization)}/{${projects.join(',')}}`
    : show(organization)
}

function stateOf({ revoked_at, expires_at }: Answer): string {
  if (typeof revoked_at === 'string') return 'revoked'
  if (typeof expires_at !== 'string') return 'valid'
  return Date.parse(expires_at) <= Date.now() ? 'ended' : `until ${expires_at}`
}

export function keyCommand(context: CliContext): Command {
  return adminNoun(
    'key',
    'API keys: made (shown once), listed, revoked',
    [
      {
        usage: 'list',
        summary: 'list keys, without their secrets',
        examples: ['potluck admin key list --organization acme'],
        options: [
          ['--organization <name>', "only that organization's own"],
          ['--user <name>', "only that user's"],
        ],
        run: async (client, _words, { organization, user }) => {
          const query = new URLSearchParams()
          if (typeof organization === 'string') query.set('organization', organization)
          if (typeof user === 'string') query.set('user', user)
          return listed(await client.get(`/keys${query.size > 0 ? `?${query}` : ''}`), {
            ID: ({ id }) => show(id),
            OPENS: ownerOf,
            SCOPES: ({ scopes, admin }) => (admin === true ? 'admin' : show(scopes)),
            STATE: stateOf,
            'LAST USED': ({ last_used_at }) => show(last_used_at),
            LABEL: ({ label }) => show(label),
          })
        },
      },
      {
        usage: 'create',
        summary: 'make a key; it is printed once and kept nowhere',
        examples: [
          'potluck admin key create --organization acme --label ci',
          'potluck admin key create --organization acme --project web --scope read --for 90d',
          'potluck admin key create --user anna',
          'potluck admin key create --admin --label backup',
        ],
        options: [
          ['--organization <name>', 'it opens this organization'],
          ['--user <name>', "it acts in this user's roles"],
          ['--admin', 'it opens the admin API, and nothing else'],
          ['--label <text>', 'what it is for'],
          ['--for <duration>', 'how long it lives: 12h, 90d; for ever unless it is said'],
        ],
        lists: [
          ['--project <name>', 'of the organization only this project (repeatable)'],
          ['--scope <scope>', 'read or write (repeatable); both unless it is said'],
        ],
        run: async (client, _words, options) => {
          const json = await client.post(placeOf(options), bodyOf(options))
          const story = `key ${show(json.id)} for ${ownerOf(json)}: it is shown this once`
          return { json, text: show(json.key), story }
        },
      },
      {
        usage: 'show <id>',
        summary: 'show a key, without its secret',
        examples: ['potluck admin key show 6f1c…'],
        run: async (client, [id = '']) => detailed(await client.get(`/keys/${part(id)}`)),
      },
      {
        usage: 'revoke <id>',
        summary: 'end a key at once',
        examples: ['potluck admin key revoke 6f1c…'],
        run: async (client, [id = '']) => ({
          json: await client.delete(`/keys/${part(id)}`),
          text: '',
          story: `key ${id} revoked: it opens nothing any more`,
        }),
      },
    ],
    context,
  )
}

/** Whose key it is to be, as the API has it. */
function placeOf({ organization, user, admin, project }: Options): string {
  if ([organization, user, admin].filter((it) => it !== undefined).length !== 1) {
    throw new UsageError('create: give one of --organization, --user, --admin')
  }
  if (typeof organization === 'string') return `/organizations/${part(organization)}/keys`
  if (listOf(project)) throw new UsageError('create: --project goes with --organization only')
  return typeof user === 'string' ? `/users/${part(user)}/keys` : '/keys'
}

function bodyOf({ label, project, scope, ...options }: Options): Answer {
  return {
    ...{ label, projects: listOf(project), scopes: listOf(scope) },
    ...(typeof options.for === 'string' && { expires_in_s: secondsOf('--for', options.for) }),
  }
}

function listOf(value: Options[string]): readonly string[] | undefined {
  return Array.isArray(value) && value.length > 0 ? value : undefined
}

/** Whole seconds of a length of time as people write it. */
export function secondsOf(flag: string, text: string): number {
  const ms = parseDurationMs(text)
  if (ms !== undefined && ms >= 1_000) return Math.floor(ms / 1_000)
  throw new UsageError(`${flag} ${text} is not valid; give a duration such as 1h or 90d`)
}
