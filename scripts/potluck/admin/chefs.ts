/** `potluck admin chef` and `potluck admin node`: who owns which machine. */
import type { Command } from 'commander'
import type { CliContext } from '../cli-context.ts'
import { type Answer, part } from './client.ts'
import { adminNoun, type CommandInit, detailed, listed, show } from './command.ts'
import { secondsOf } from './keys.ts'

export function chefCommand(context: CliContext): Command {
  return adminNoun(
    'chef',
    'PC owners, and the codes by which their nodes are theirs',
    [
      {
        usage: 'list',
        summary: 'list chefs',
        examples: ['potluck admin chef list'],
        run: async (client) =>
          listed(await client.get('/chefs'), {
            NAME: ({ name }) => show(name),
            NODES: ({ nodes }) => String(Array.isArray(nodes) ? nodes.length : 0),
            CREATED: ({ created_at }) => show(created_at),
          }),
      },
      {
        usage: 'create <name>',
        summary: 'make a chef',
        examples: ['potluck admin chef create alice'],
        run: async (client, [name = '']) => detailed(await client.post('/chefs', { name })),
      },
      {
        usage: 'show <name>',
        summary: 'show a chef and their nodes',
        examples: ['potluck admin chef show alice'],
        run: async (client, [name = '']) => detailed(await client.get(`/chefs/${part(name)}`)),
      },
      {
        usage: 'delete <name>',
        summary: 'delete a chef without nodes',
        examples: ['potluck admin chef delete alice'],
        run: async (client, [name = '']) => ({
          json: await client.delete(`/chefs/${part(name)}`),
          text: '',
          story: `chef ${name} deleted`,
        }),
      },
      ...claimCommands,
    ],
    context,
  )
}

const claimCommands: readonly CommandInit[] = [
  {
    usage: 'claim <name>',
    summary: 'make a code that binds one node to this chef; it is printed once',
    examples: ['potluck admin chef claim alice', 'potluck admin chef claim alice --for 24h'],
    options: [['--for <duration>', 'how long it may be used; 1h unless it is said']],
    run: async (client, [name = ''], options) => {
      const life = typeof options.for === 'string' && { life_s: secondsOf('--for', options.for) }
      const json = await client.post(`/chefs/${part(name)}/claims`, { ...life })
      // Not the code itself: what goes to stderr ends in logs.
      const story = `for ${name}'s machine, until ${show(json.expires_at)}: potluck node run --claim CODE`
      return { json, text: show(json.code), story }
    },
  },
  {
    usage: 'claims <name>',
    summary: 'list codes that wait to be used, without the codes',
    examples: ['potluck admin chef claims alice'],
    run: async (client, [name = '']) =>
      listed(await client.get(`/chefs/${part(name)}/claims`), {
        ID: ({ id }) => show(id),
        UNTIL: ({ expires_at }) => show(expires_at),
      }),
  },
  {
    usage: 'unclaim <name> <id>',
    summary: 'take a code back before it is used',
    examples: ['potluck admin chef unclaim alice 6f1c…'],
    run: async (client, [name = '', id = '']) => ({
      json: await client.delete(`/chefs/${part(name)}/claims/${part(id)}`),
      text: '',
      story: `claim code ${id} of ${name} is taken back`,
    }),
  },
]

export function nodeCommand(context: CliContext): Command {
  const noun = adminNoun(
    'node',
    'machines: whose they are, where they are seen, what they lend',
    [
      {
        usage: 'list',
        summary: 'list nodes (ls for short)',
        examples: ['potluck admin node ls', 'potluck admin node list --json'],
        run: async (client) =>
          listed(await client.get('/nodes'), {
            NODE: ({ node }) => show(node),
            CHEF: ({ chef }) => show(chef),
            HOUSEHOLD: ({ household }) => show(household),
            COUNTRY: ({ country }) => show(country),
            STATE: ({ connected, banned }) => stateOf(connected === true, banned === true),
            INSTANCES: ({ instances }) => show(instances),
            CAPACITY: ({ capacity }) => capacityOf(capacity),
          }),
      },
      {
        usage: 'release <node>',
        summary: 'let go of a node, so that another chef may claim it',
        examples: ['potluck admin node release 12D3Koo…'],
        run: async (client, [node = '']) => ({
          json: await client.delete(`/nodes/${part(node)}/chef`),
          text: '',
          story: `node ${node} belongs to nobody now`,
        }),
      },
    ],
    context,
  )
  noun.commands.find((command) => command.name() === 'list')?.alias('ls')
  return noun
}

function stateOf(connected: boolean, banned: boolean): string {
  if (banned) return 'banned'
  return connected ? 'connected' : 'away'
}

/** `4 cores, 8 GiB memory, 100 GiB disk, NVIDIA GeForce RTX 4090` */
function capacityOf(capacity: unknown): string {
  if (typeof capacity !== 'object' || capacity === null) return '-'
  const { cpus, memory_bytes: memory, storage_bytes: disk, gpus } = capacity as Answer
  const names = Array.isArray(gpus) ? gpus.map(String) : []
  return [`${show(cpus)} cores`, `${gibOf(memory)} memory`, `${gibOf(disk)} disk`, ...names].join(
    ', ',
  )
}

function gibOf(bytes: unknown): string {
  return `${Math.round(Number(bytes) / 2 ** 30)} GiB`
}
