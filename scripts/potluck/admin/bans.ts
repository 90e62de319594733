/** `potluck admin ban`, `unban`, `bans` and the reviews of alarms: who is refused, and what is held. */
import type { Command } from 'commander'
import type { CliContext } from '../cli-context.ts'
import { type Answer, part } from './client.ts'
import { adminNoun, type CommandInit, detailed, listed, show } from './command.ts'
import { secondsOf } from './keys.ts'

/** They stand right under `potluck admin`: an operator in a hurry types them. */
export function banCommands(context: CliContext): readonly Command[] {
  return adminNoun('bans', '', [...bans, ...reviews], context).commands
}

function stateOf({ in_force, expires, lifted }: Answer): string {
  if (in_force !== true) return `lifted by ${show((lifted as Answer | undefined)?.by)}`
  return typeof expires === 'string' ? `until ${expires}` : 'for good'
}

const bans: readonly CommandInit[] = [
  {
    usage: 'ban <peer>',
    summary: 'refuse a peer everywhere, at once',
    examples: ['potluck admin ban 12D3KooW… --reason forged-capacity --note "no GPU" --for 30d'],
    options: [
      [
        '--reason <code>',
        'operator (unless it is said), bad-chunks, lease-violation, failed-proof …',
      ],
      ['--note <text>', 'why, for who reads it later'],
      ['--evidence <text>', 'what was seen; it is kept'],
      ['--for <duration>', 'how long: 12h, 30d; until it is lifted unless it is said'],
    ],
    run: async (client, [peer = ''], { reason, note, evidence, for: life }) =>
      detailed(
        await client.post('/bans', {
          peer,
          ...(typeof reason === 'string' && { reason }),
          ...(typeof note === 'string' && { note }),
          ...(typeof evidence === 'string' && { evidence }),
          ...(typeof life === 'string' && { expires_in_s: secondsOf('--for', life) }),
        }),
      ),
  },
  {
    usage: 'unban <peer>',
    summary: 'lift a ban; for a week nothing automatic bans the peer again',
    examples: ['potluck admin unban 12D3KooW… --note "the disk was replaced"'],
    options: [
      ['--note <text>', 'why'],
      ['--shield <duration>', 'how long nothing automatic bans it again; 7d unless it is said'],
    ],
    run: async (client, [peer = ''], { note, shield }) => {
      const query = new URLSearchParams()
      if (typeof note === 'string') query.set('note', note)
      if (typeof shield === 'string') query.set('shield_s', String(secondsOf('--shield', shield)))
      const json = await client.delete(`/bans/${part(peer)}${query.size > 0 ? `?${query}` : ''}`)
      return { json, text: '', story: `the ban of ${peer} is lifted` }
    },
  },
  {
    usage: 'bans',
    summary: 'list bans, newest first',
    examples: ['potluck admin bans', 'potluck admin bans --all --json'],
    options: [['--all', 'also those that are over']],
    run: async (client, _words, { all }) =>
      listed(await client.get(all === true ? '/bans?all=true' : '/bans'), {
        PEER: ({ peer }) => show(peer),
        REASON: ({ reason }) => show(reason),
        SOURCE: ({ source }) => show(source),
        STATE: stateOf,
        SINCE: ({ since }) => show(since),
        APPEAL: ({ appeal }) => (appeal ? 'yes' : '-'),
        NOTE: ({ note }) => show(note),
      }),
  },
  {
    usage: 'appeal <peer> <note>',
    summary: "note what a banned peer's owner says, for who decides",
    examples: ['potluck admin appeal 12D3KooW… "it was a broken disk"'],
    run: async (client, [peer = '', note = '']) =>
      detailed(await client.post(`/bans/${part(peer)}/appeal`, { note })),
  },
]

const reviews: readonly CommandInit[] = [
  {
    usage: 'suspects',
    summary: 'list peers that many accuse, though not enough for a ban',
    examples: ['potluck admin suspects'],
    run: async (client) =>
      listed(await client.get('/suspects'), {
        PEER: ({ peer }) => show(peer),
        ACCUSERS: ({ accusers }) => show(accusers),
        WEIGHT: ({ weight }) => (typeof weight === 'number' ? weight.toFixed(1) : '-'),
        NEEDED: ({ needed }) => show(needed),
      }),
  },
  {
    usage: 'alarms',
    summary: 'list what nodes reported, newest first',
    examples: ['potluck admin alarms'],
    run: async (client) =>
      listed(await client.get('/security-reports'), {
        AT: ({ at }) => show(at),
        NODE: ({ node }) => show(node),
        SUSPECT: ({ suspect, slot }) => (slot ? `${show(suspect)} ${show(slot)}` : show(suspect)),
        RULE: ({ rule }) => show(rule),
        OUTCOME: ({ outcome }) => show(outcome),
        WHY: ({ why }) => show(why),
      }),
  },
  {
    usage: 'holds',
    summary: 'list groups that an alarm keeps from new instances',
    examples: ['potluck admin holds'],
    run: async (client) =>
      listed(await client.get('/holds'), {
        GROUP: ({ group }) => show(group),
        NAME: ({ name }) => show(name),
        SINCE: ({ since }) => show(since),
        REPORTS: ({ reports }) => String(Array.isArray(reports) ? reports.length : 0),
      }),
  },
  {
    usage: 'release <group>',
    summary: 'end the review of a held group: it is given instances again',
    examples: ['potluck admin release 00000000-… --note "a load test"'],
    options: [
      ['--note <text>', 'what was found'],
      ['--false-alarm', 'nothing was wrong: it counts against who raised the alarm'],
    ],
    run: async (client, [group = ''], { note, falseAlarm }) => {
      const found = typeof note === 'string' && { note }
      const body = { ...found, false_alarm: falseAlarm === true }
      const json = await client.post(`/holds/${part(group)}/release`, body)
      return { json, text: '', story: `group ${group} is released` }
    },
  },
]
