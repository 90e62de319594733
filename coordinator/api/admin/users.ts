/** Users, and their roles in organizations. */
import Type from 'typebox'
import { type Role, roles, type User } from '../../tenants/index.ts'
import type { ApiInstance } from '../routes/context.ts'
import { NameSchema, oneOf, TimeSchema, UuidSchema } from '../schemas/fields.ts'
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

const RoleSchema = oneOf<Role>(...roles)
const MemberSchema = Type.Object({
  user: NameSchema,
  organization: NameSchema,
  role: RoleSchema,
})
const UserSchema = Type.Object({
  id: UuidSchema,
  name: NameSchema,
  memberships: Type.Array(MemberSchema),
  created_at: TimeSchema,
})
const SetRoleSchema = Type.Object({ role: RoleSchema }, { additionalProperties: false })
const Params = Type.Object({ user: name })
const MemberParams = Type.Object({ organization: name, user: name })

export function userRoutes(app: ApiInstance, context: AdminContext): void {
  const { users, deleteUser, organizations } = context.tenants
  const show = (user: User) => {
    const byId = new Map(organizations().map((organization) => [organization.id, organization]))
    const memberships = users.membershipsOf(user.id).flatMap(({ organizationId, role }) => {
      const organization = byId.get(organizationId)
      return organization ? [{ user: user.name, organization: organization.name, role }] : []
    })
    return { id: user.id, name: user.name, memberships, created_at: timeOf(user.createdMs) }
  }

  app.get(
    '/users',
    {
      schema: {
        ...about('list_users', 'List users'),
        response: { 200: listOf(UserSchema), ...readProblems },
      },
    },
    async () => ({ items: users.all().map(show) }),
  )

  app.post(
    '/users',
    {
      schema: {
        ...about('create_user', 'Create a user'),
        body: NamedSchema,
        response: { 201: UserSchema, ...writeProblems },
      },
    },
    async ({ body }, reply) => reply.code(201).send(show(await users.create(body.name))),
  )

  app.get(
    '/users/:user',
    {
      schema: {
        ...about('get_user', 'Get a user'),
        params: Params,
        response: { 200: UserSchema, ...readProblems },
      },
    },
    async ({ params }) => show(users.get(params.user)),
  )

  app.delete(
    '/users/:user',
    {
      schema: {
        ...about('delete_user', 'Delete a user'),
        description: 'With their keys and memberships, at once.',
        params: Params,
        response: { 204: done, ...writeProblems },
      },
    },
    async ({ params }, reply) => {
      await deleteUser(params.user)
      return reply.code(204).send(undefined)
    },
  )
  memberRoutes(app, context)
}

function memberRoutes(app: ApiInstance, { tenants }: AdminContext): void {
  const { users } = tenants

  app.get(
    '/organizations/:organization/members',
    {
      schema: {
        ...about('list_members', 'List members of an organization'),
        params: Type.Object({ organization: name }),
        response: { 200: listOf(MemberSchema), ...readProblems },
      },
    },
    async ({ params }) => {
      const { id, name: organization } = tenants.findOrganization(params.organization)
      const items = users.membersOf(id).flatMap(({ userId, role }) => {
        const user = users.byId(userId)
        return user ? [{ user: user.name, organization, role }] : []
      })
      return { items }
    },
  )

  app.put(
    '/organizations/:organization/members/:user',
    {
      schema: {
        ...about('set_member', "Set a user's role in an organization"),
        params: MemberParams,
        body: SetRoleSchema,
        response: { 200: MemberSchema, ...writeProblems },
      },
    },
    async ({ params, body: { role } }) => {
      const organization = tenants.findOrganization(params.organization)
      const user = users.get(params.user)
      await users.setRole({ organizationId: organization.id, userId: user.id, role })
      return { user: user.name, organization: organization.name, role }
    },
  )

  app.delete(
    '/organizations/:organization/members/:user',
    {
      schema: {
        ...about('remove_member', 'Remove a user from an organization'),
        params: MemberParams,
        response: { 204: done, ...writeProblems },
      },
    },
    async ({ params }, reply) => {
      const organization = tenants.findOrganization(params.organization)
      await users.removeMember(organization, users.get(params.user))
      return reply.code(204).send(undefined)
    },
  )
}
