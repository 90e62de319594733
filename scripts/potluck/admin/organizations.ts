/** `potluck admin organization` and `potluck admin project`. */
import type { Command } from 'commander'
import type { CliContext } from '../cli-context.ts'
import { UsageError } from '../report-error.ts'
import { part } from './client.ts'
import { adminNoun, countOf, detailed, listed, show } from './command.ts'

const quotaOption = ['--quota <replicas>', 'replicas of all its groups together'] as const

export function organizationCommand(context: CliContext): Command {
  return adminNoun(
    'organization',
    'tenants: who may deploy',
    [
      {
        usage: 'list',
        summary: 'list organizations',
        examples: ['potluck admin organization list --json'],
        run: async (client) =>
          listed(await client.get('/organizations'), {
            NAME: ({ name }) => show(name),
            PROJECTS: ({ projects }) => show(projects),
            REPLICAS: ({ replicas_used }) => show(replicas_used),
            QUOTA: ({ replicas_quota }) => show(replicas_quota),
          }),
      },
      {
        usage: 'create <name>',
        summary: 'make an organization',
        examples: ['potluck admin organization create acme --quota 500'],
        options: [quotaOption],
        run: async (client, [name = ''], { quota }) =>
          detailed(
            await client.post('/organizations', {
              name,
              ...(typeof quota === 'string' && { replicas_quota: countOf('--quota', quota) }),
            }),
          ),
      },
      {
        usage: 'show <name>',
        summary: 'show an organization',
        examples: ['potluck admin organization show acme'],
        run: async (client, [name = '']) =>
          detailed(await client.get(`/organizations/${part(name)}`)),
      },
      {
        usage: 'set <name>',
        summary: "change an organization's quota",
        examples: [
          'potluck admin organization set acme --quota 1000',
          'potluck admin organization set acme --quota default',
        ],
        options: [[quotaOption[0], `${quotaOption[1]}; default: the coordinator's setting`]],
        run: async (client, [name = ''], { quota }) => {
          if (typeof quota !== 'string') throw new UsageError('set: give --quota')
          const replicas_quota = quota === 'default' ? null : countOf('--quota', quota)
          return detailed(await client.patch(`/organizations/${part(name)}`, { replicas_quota }))
        },
      },
      {
        usage: 'delete <name>',
        summary: 'delete an organization without projects, with its keys',
        examples: ['potluck admin organization delete acme'],
        run: async (client, [name = '']) => ({
          json: await client.delete(`/organizations/${part(name)}`),
          text: '',
          story: `organization ${name} deleted`,
        }),
      },
    ],
    context,
  )
}

export function projectCommand(context: CliContext): Command {
  return adminNoun(
    'project',
    'projects of organizations',
    [
      {
        usage: 'list <organization>',
        summary: 'list projects of an organization',
        examples: ['potluck admin project list acme'],
        run: async (client, [organization = '']) =>
          listed(await client.get(`/organizations/${part(organization)}/projects`), {
            NAME: ({ name }) => show(name),
            GROUPS: ({ container_groups }) => show(container_groups),
            CREATED: ({ created_at }) => show(created_at),
          }),
      },
      {
        usage: 'create <organization/project>',
        summary: 'make a project',
        examples: ['potluck admin project create acme/web'],
        run: async (client, [both = '']) => {
          const [organization, name] = split(both)
          return detailed(
            await client.post(`/organizations/${part(organization)}/projects`, { name }),
          )
        },
      },
      {
        usage: 'show <organization/project>',
        summary: 'show a project',
        examples: ['potluck admin project show acme/web'],
        run: async (client, [both = '']) => detailed(await client.get(pathOf(both))),
      },
      {
        usage: 'delete <organization/project>',
        summary: 'delete a project without container groups',
        examples: ['potluck admin project delete acme/web'],
        run: async (client, [both = '']) => ({
          json: await client.delete(pathOf(both)),
          text: '',
          story: `project ${both} deleted`,
        }),
      },
    ],
    context,
  )
}

function split(both: string): readonly [organization: string, project: string] {
  const [organization, project, ...rest] = both.split('/')
  if (organization && project && rest.length === 0) return [organization, project]
  throw new UsageError(`${both} is not valid; give organization/project, such as acme/web`)
}

function pathOf(both: string): string {
  const [organization, project] = split(both)
  return `/organizations/${part(organization)}/projects/${part(project)}`
}
