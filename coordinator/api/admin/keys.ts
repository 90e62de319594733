/** API keys: of organizations, of users, of operators. The secret is in one answer, ever. */
import Type, { type Static } from 'typebox'
import {
  type Access,
  type ApiKeyInfo,
  accesses,
  keyProjectsMax,
  type MadeKey,
  type Tenants,
} from '../../tenants/index.ts'
import { ProblemSchema } from '../problems.ts'
import type { ApiInstance } from '../routes/context.ts'
import { lineOf, NameSchema, oneOf, orNull, TimeSchema, UuidSchema } from '../schemas/fields.ts'
import {
  type AdminContext,
  about,
  done,
  listOf,
  name,
  readProblems,
  timeOf,
  unstored,
  writeProblems,
} from './context.ts'

const ScopeSchema = oneOf<Access>(...accesses)
const KeySchema = Type.Object({
  id: UuidSchema,
  label: Type.String(),
  organization: orNull(NameSchema),
  projects: Type.Unsafe<string[] | null>({
    type: ['array', 'null'],
    items: NameSchema,
    description: 'The only ones that it opens; null: all.',
  }),
  user: orNull(NameSchema),
  admin: Type.Boolean({ description: 'Opens the admin API, and nothing else.' }),
  scopes: Type.Array(ScopeSchema),
  source: Type.String({
    description: '`config`: it follows a file of the coordinator; or `made`.',
  }),
  created_at: TimeSchema,
  expires_at: orNull(TimeSchema),
  last_used_at: Type.Unsafe<string | null>({
    ...orNull(TimeSchema),
    description: 'To the minute.',
  }),
  revoked_at: orNull(TimeSchema),
})
const MadeKeySchema = Type.Object({
  ...KeySchema.properties,
  key: Type.String({ description: 'The secret. It is shown this once.' }),
})
const label = Type.Optional(lineOf(0, 200))
const scopes = Type.Optional(
  Type.Array(ScopeSchema, {
    ...{ minItems: 1, maxItems: accesses.length, uniqueItems: true },
    description: 'Both, unless it is said.',
  }),
)
const expires_in_s = Type.Optional(
  Type.Integer({ minimum: 60, maximum: 315_360_000, description: 'Absent: it never ends.' }),
)
const strict = { additionalProperties: false } as const
const AdminBody = Type.Object({ label, expires_in_s }, strict)
const UserBody = Type.Object({ label, scopes, expires_in_s }, strict)
const OrganizationBody = Type.Object(
  {
    ...{ label, scopes, expires_in_s },
    projects: Type.Optional(
      Type.Array(NameSchema, {
        ...{ minItems: 1, maxItems: keyProjectsMax },
        description: 'The only ones that it opens; absent: all.',
      }),
    ),
  },
  strict,
)
const QuerySchema = Type.Object({
  organization: Type.Optional(name),
  user: Type.Optional(name),
})
const Params = Type.Object({ key_id: name })

export function keyRoutes(app: ApiInstance, context: AdminContext): void {
  const { tenants } = context
  const show = (info: ApiKeyInfo) => presentKey(info, tenants)
  makeRoutes(app, context)

  app.get(
    '/keys',
    {
      schema: {
        ...about('list_keys', 'List API keys, of all or of one owner'),
        querystring: QuerySchema,
        response: { 200: listOf(KeySchema), ...readProblems, 400: ProblemSchema },
      },
    },
    async ({ query: { organization, user } }) => {
      const [ofOrganization, ofUser] = [
        organization === undefined ? undefined : tenants.findOrganization(organization).id,
        user === undefined ? undefined : tenants.users.get(user).id,
      ]
      const items = tenants.keyRing.all().filter(({ grant }) => {
        if (ofOrganization !== undefined) {
          return grant.to === 'organization' && grant.organizationId === ofOrganization
        }
        return ofUser === undefined || (grant.to === 'user' && grant.userId === ofUser)
      })
      return { items: items.map(show) }
    },
  )

  app.get(
    '/keys/:key_id',
    {
      schema: {
        ...about('get_key', 'Get an API key, without its secret'),
        params: Params,
        response: { 200: KeySchema, ...readProblems },
      },
    },
    async ({ params }) => show(tenants.keyRing.get(params.key_id)),
  )

  app.delete(
    '/keys/:key_id',
    {
      schema: {
        ...about('revoke_key', 'Revoke an API key'),
        description:
          'It opens nothing from the answer on. One that lies in a file of the coordinator stays listed, so that its file does not bring it back.',
        params: Params,
        response: { 204: done, ...writeProblems },
      },
    },
    async ({ params }, reply) => {
      await tenants.keyRing.revoke(tenants.keyRing.get(params.key_id).id)
      return reply.code(204).send(undefined)
    },
  )
}

/** One route an owner, so that a body says nothing that contradicts itself. */
function makeRoutes(app: ApiInstance, { tenants }: AdminContext): void {
  const optionsOf = (body: Static<typeof UserBody>) => ({
    scopes: body.scopes,
    expiresMs: body.expires_in_s === undefined ? undefined : Date.now() + body.expires_in_s * 1_000,
  })
  const shown = ({ info, key }: MadeKey) => ({ ...presentKey(info, tenants), key })
  const response = { 201: MadeKeySchema, ...writeProblems }

  app.post(
    '/keys',
    {
      schema: {
        ...about('create_key', 'Make a key of the admin API'),
        body: AdminBody,
        response,
      },
    },
    async ({ body }, reply) => {
      const made = await tenants.makeAdminKey(body.label ?? '', optionsOf(body))
      return unstored(reply.code(201)).send(shown(made))
    },
  )

  app.post(
    '/organizations/:organization/keys',
    {
      schema: {
        ...about('create_organization_key', "Make an organization's API key"),
        params: Type.Object({ organization: name }),
        body: OrganizationBody,
        response,
      },
    },
    async ({ params, body }, reply) => {
      const options = { ...optionsOf(body), projects: body.projects }
      const made = await tenants.makeKey(params.organization, body.label ?? '', options)
      return unstored(reply.code(201)).send(shown(made))
    },
  )

  app.post(
    '/users/:user/keys',
    {
      schema: {
        ...about('create_user_key', "Make a user's API key: it acts in their roles"),
        params: Type.Object({ user: name }),
        body: UserBody,
        response,
      },
    },
    async ({ params, body }, reply) => {
      const user = tenants.users.get(params.user)
      const made = await tenants.makeUserKey(user, body.label ?? '', optionsOf(body))
      return unstored(reply.code(201)).send(shown(made))
    },
  )
}

function presentKey(info: ApiKeyInfo, tenants: Tenants): Static<typeof KeySchema> {
  const { id, label, grant, source, createdMs, expiresMs, lastUsedMs, revokedMs } = info
  const timeOrNull = (ms: number | undefined) => (ms === undefined ? null : timeOf(ms))
  const organization =
    grant.to === 'organization'
      ? tenants.organizations().find((item) => item.id === grant.organizationId)
      : undefined
  const limit = grant.to === 'organization' ? grant.projectIds : undefined
  const projects = organization ? tenants.projects(organization.name) : []
  const user = grant.to === 'user' ? tenants.users.byId(grant.userId) : undefined
  return {
    id,
    label,
    organization: organization?.name ?? null,
    projects: limit ? projects.filter((it) => limit.includes(it.id)).map((it) => it.name) : null,
    user: user?.name ?? null,
    admin: grant.to === 'admin',
    scopes: grant.to === 'admin' ? [] : [...grant.scopes],
    source,
    created_at: timeOf(createdMs),
    expires_at: timeOrNull(expiresMs),
    last_used_at: timeOrNull(lastUsedMs),
    revoked_at: timeOrNull(revokedMs),
  }
}
