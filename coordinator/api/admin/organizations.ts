/** Organizations: made, shown, given a quota, deleted once nothing lives in them. */
import Type from 'typebox'
import type { Organization } from '../../tenants/index.ts'
import type { ApiInstance } from '../routes/context.ts'
import { NameSchema, orNull, TimeSchema, UuidSchema } from '../schemas/fields.ts'
import {
  type AdminContext,
  about,
  done,
  listOf,
  name,
  readProblems,
  timeOf,
  writeProblems,
} from './context.ts'

const QuotaSchema = orNull(
  Type.Integer({
    minimum: 0,
    maximum: 1_000_000,
    description: "Replicas of all its groups together; null: the coordinator's setting.",
  }),
)
const OrganizationSchema = Type.Object({
  id: UuidSchema,
  name: NameSchema,
  replicas_quota: QuotaSchema,
  replicas_used: Type.Integer({ minimum: 0 }),
  projects: Type.Array(NameSchema),
  created_at: TimeSchema,
})
const CreateSchema = Type.Object(
  { name: NameSchema, replicas_quota: Type.Optional(QuotaSchema) },
  { additionalProperties: false },
)
const PatchSchema = Type.Object({ replicas_quota: QuotaSchema }, { additionalProperties: false })
const Params = Type.Object({ organization: name })

export function organizationRoutes(app: ApiInstance, { tenants, groups }: AdminContext): void {
  const show = (organization: Organization) => ({
    id: organization.id,
    name: organization.name,
    replicas_quota: organization.replicasQuota ?? null,
    replicas_used: groups.replicasOf(organization.id),
    projects: tenants.projects(organization.name).map((project) => project.name),
    created_at: timeOf(organization.createdMs),
  })

  app.get(
    '/organizations',
    {
      schema: {
        ...about('list_organizations', 'List organizations'),
        response: { 200: listOf(OrganizationSchema), ...readProblems },
      },
    },
    async () => ({ items: tenants.organizations().map(show) }),
  )

  app.post(
    '/organizations',
    {
      schema: {
        ...about('create_organization', 'Create an organization'),
        body: CreateSchema,
        response: { 201: OrganizationSchema, ...writeProblems },
      },
    },
    async ({ body }, reply) => {
      const quota = body.replicas_quota ?? undefined
      return reply.code(201).send(show(await tenants.createOrganization(body.name, quota)))
    },
  )

  app.get(
    '/organizations/:organization',
    {
      schema: {
        ...about('get_organization', 'Get an organization'),
        params: Params,
        response: { 200: OrganizationSchema, ...readProblems },
      },
    },
    async ({ params }) => show(tenants.findOrganization(params.organization)),
  )

  app.patch(
    '/organizations/:organization',
    {
      schema: {
        ...about('update_organization', "Change an organization's quota"),
        description: 'What is in use above a lower quota stays; nothing is added to it.',
        params: Params,
        body: PatchSchema,
        response: { 200: OrganizationSchema, ...writeProblems },
      },
    },
    async ({ params, body }) =>
      show(await tenants.setQuota(params.organization, body.replicas_quota ?? undefined)),
  )

  app.delete(
    '/organizations/:organization',
    {
      schema: {
        ...about('delete_organization', 'Delete an organization'),
        description: 'With its keys and memberships. 409 while it has projects.',
        params: Params,
        response: { 204: done, ...writeProblems },
      },
    },
    async ({ params }, reply) => {
      await tenants.deleteOrganization(params.organization)
      return reply.code(204).send(undefined)
    },
  )
}
