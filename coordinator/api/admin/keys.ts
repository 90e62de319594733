/** API keys: of organizations, of users, of operators. The secret is in one answer, ever. */
import Type, { type Static } from 'typebox'
import {
  type Access,
  type ApiKeyInfo,
  accesses,
  keyProjectsMax,
  type Tenants,
} from '../../tenants/index.ts'
import { RequestInvalidError } from '../errors.ts'
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
const CreateSchema = Type.Object(
  {
    label: Type.Optional(lineOf(0, 200)),
    organization: Type.Optional(NameSchema),
    projects: Type.Optional(Type.Array(NameSchema, { minItems: 1, maxItems: keyProjectsMax })),
    user: Type.Optional(NameSchema),
    admin: Type.Optional(Type.Boolean()),
    scopes: Type.Optional(
      Type.Array(ScopeSchema, { minItems: 1, maxItems: accesses.length, uniqueItems: true }),
    ),
    expires_in_s: Type.Optional(
      Type.Integer({ minimum: 60, maximum: 315_360_000, description: 'Absent: it never ends.' }),
    ),
  },
  { additionalProperties: false },
)
const QuerySchema = Type.Object({
  organization: Type.Optional(name),
  user: Type.Optional(name),
})
const Params = Type.Object({ key_id: name })

export function keyRoutes(app: ApiInstance, { tenants }: AdminContext): void {
  const show = (info: ApiKeyInfo) => presentKey(info, tenants)

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

  app.post(
    '/keys',
    {
      schema: {
        ...about('create_key', 'Make an API key'),
        description:
          'For an organization (and perhaps some of its projects), a user (it acts in their roles), or an operator.',
        body: CreateSchema,
        response: { 201: MadeKeySchema, ...writeProblems },
      },
    },
    async ({ body }, reply) => {
      const { info, key } = await makeKey(body, tenants)
      return reply
        .code(201)
        .header('cache-control', 'no-store')
        .send({ ...show(info), key })
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

function makeKey(body: Static<typeof CreateSchema>, tenants: Tenants) {
  const { label = '', organization, projects, user, admin, scopes, expires_in_s: lifeS } = body
  const owners = [organization, user, admin ? 'admin' : undefined].filter((it) => it !== undefined)
  if (owners.length !== 1) {
    throw new RequestInvalidError({ body: ['must name one of organization, user, admin: true'] })
  }
  if (projects && organization === undefined) {
    throw new RequestInvalidError({ projects: ['goes with organization only'] })
  }
  const expiresMs = lifeS === undefined ? undefined : Date.now() + lifeS * 1_000
  if (organization !== undefined) {
    return tenants.makeKey(organization, label, { projects, scopes, expiresMs })
  }
  if (user !== undefined) {
    return tenants.makeUserKey(tenants.users.get(user), label, { scopes, expiresMs })
  }
  if (scopes) throw new RequestInvalidError({ scopes: ['an admin key has none'] })
  return tenants.makeAdminKey(label, { expiresMs })
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
