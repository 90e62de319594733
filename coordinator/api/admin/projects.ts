/** Projects of organizations; one is deleted only when nothing runs in it. */
import Type from 'typebox'
import type { Project } from '../../tenants/index.ts'
import type { ApiInstance } from '../routes/context.ts'
import { NameSchema, TimeSchema, UuidSchema } from '../schemas/fields.ts'
import {
  type AdminContext,
  about,
  done,
  listOf,
  NamedSchema,
  name,
  readProblems,
  timeOf,
  writeProblems,
} from './context.ts'

const ProjectSchema = Type.Object({
  id: UuidSchema,
  name: NameSchema,
  organization: NameSchema,
  container_groups: Type.Integer({ minimum: 0 }),
  created_at: TimeSchema,
})
const CollectionParams = Type.Object({ organization: name })
const Params = Type.Object({ organization: name, project: name })

export function projectRoutes(app: ApiInstance, { tenants, groups, queues }: AdminContext): void {
  const show = (organization: string, project: Project) => ({
    id: project.id,
    name: project.name,
    organization,
    container_groups: groups.countIn(project.id),
    created_at: timeOf(project.createdMs),
  })
  const occupants = (projectId: string): readonly string[] => {
    const counts = [
      [groups.countIn(projectId), 'container group'],
      [queues.countIn(projectId), 'queue'],
    ] as const
    return counts.flatMap(([count, what]) =>
      count === 0 ? [] : [`${count} ${what}${count === 1 ? '' : 's'}`],
    )
  }

  app.get(
    '/organizations/:organization/projects',
    {
      schema: {
        ...about('list_projects', 'List projects of an organization'),
        params: CollectionParams,
        response: { 200: listOf(ProjectSchema), ...readProblems },
      },
    },
    async ({ params: { organization } }) => {
      const items = tenants.projects(organization)
      return { items: items.map((project) => show(organization, project)) }
    },
  )

  app.post(
    '/organizations/:organization/projects',
    {
      schema: {
        ...about('create_project', 'Create a project'),
        params: CollectionParams,
        body: NamedSchema,
        response: { 201: ProjectSchema, ...writeProblems },
      },
    },
    async ({ params: { organization }, body }, reply) => {
      const project = await tenants.createProject(organization, body.name)
      return reply.code(201).send(show(organization, project))
    },
  )

  app.get(
    '/organizations/:organization/projects/:project',
    {
      schema: {
        ...about('get_project', 'Get a project'),
        params: Params,
        response: { 200: ProjectSchema, ...readProblems },
      },
    },
    async ({ params: { organization, project } }) =>
      show(organization, tenants.findProject(organization, project)),
  )

  app.delete(
    '/organizations/:organization/projects/:project',
    {
      schema: {
        ...about('delete_project', 'Delete a project'),
        description: '409 while it has container groups, also deleted ones that still stop.',
        params: Params,
        response: { 204: done, ...writeProblems },
      },
    },
    async ({ params: { organization, project } }, reply) => {
      await tenants.deleteProject(organization, project, occupants)
      return reply.code(204).send(undefined)
    },
  )
}
