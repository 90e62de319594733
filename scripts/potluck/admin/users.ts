/** `potluck admin user`: accounts that own keys, and their roles. */
import type { Command } from 'commander'
import type { CliContext } from '../cli-context.ts'
import { type Answer, part } from './client.ts'
import { adminNoun, detailed, listed, show } from './command.ts'

const memberPath = (organization: string, user: string): string =>
  `/organizations/${part(organization)}/members/${part(user)}`

/** `acme (owner), globex (viewer)` */
function rolesOf({ memberships }: Answer): string {
  if (!Array.isArray(memberships)) return '-'
  return show(memberships.map(({ organization, role }) => `${organization} (${role})`))
}

export function userCommand(context: CliContext): Command {
  return adminNoun(
    'user',
    'people: accounts that own API keys and belong to organizations in a role',
    [
      {
        usage: 'list',
        summary: 'list users',
        examples: ['potluck admin user list'],
        run: async (client) =>
          listed(await client.get('/users'), {
            NAME: ({ name }) => show(name),
            ROLES: rolesOf,
            CREATED: ({ created_at }) => show(created_at),
          }),
      },
      {
        usage: 'create <name>',
        summary: 'make a user',
        examples: ['potluck admin user create anna'],
        run: async (client, [name = '']) => shown(await client.post('/users', { name })),
      },
      {
        usage: 'show <name>',
        summary: 'show a user',
        examples: ['potluck admin user show anna'],
        run: async (client, [name = '']) => shown(await client.get(`/users/${part(name)}`)),
      },
      {
        usage: 'delete <name>',
        summary: 'delete a user, with their keys and roles, at once',
        examples: ['potluck admin user delete anna'],
        run: async (client, [name = '']) => ({
          json: await client.delete(`/users/${part(name)}`),
          text: '',
          story: `user ${name} deleted`,
        }),
      },
      {
        usage: 'add <name> <organization>',
        summary: "make a user an organization's member, or change the role",
        examples: ['potluck admin user add anna acme --role owner'],
        options: [['--role <role>', 'owner, member (unless it is said) or viewer']],
        run: async (client, [name = '', organization = ''], { role = 'member' }) =>
          detailed(await client.put(memberPath(organization, name), { role })),
      },
      {
        usage: 'remove <name> <organization>',
        summary: 'take a user out of an organization',
        examples: ['potluck admin user remove anna acme'],
        run: async (client, [name = '', organization = '']) => ({
          json: await client.delete(memberPath(organization, name)),
          text: '',
          story: `user ${name} is no member of ${organization} any more`,
        }),
      },
    ],
    context,
  )
}

function shown(user: Answer) {
  return { ...detailed({ ...user, memberships: rolesOf(user) }), json: user }
}
