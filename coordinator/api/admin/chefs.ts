/** Chefs, and the claim codes that bind nodes to them. */
import Type from 'typebox'
import type { Chef, Claim } from '../../chefs/index.ts'
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
  unstored,
  writeProblems,
} from './context.ts'

const ChefSchema = Type.Object({
  id: UuidSchema,
  name: NameSchema,
  nodes: Type.Array(Type.String({ description: 'A peer id.' })),
  created_at: TimeSchema,
})
const ClaimSchema = Type.Object({
  id: UuidSchema,
  chef: NameSchema,
  created_at: TimeSchema,
  expires_at: TimeSchema,
})
const MadeClaimSchema = Type.Object({
  ...ClaimSchema.properties,
  code: Type.String({ description: 'For `potluck node run --claim`. It is shown this once.' }),
})
/** An hour is enough to walk to the other machine. */
const lifeDefaultS = 3_600
const MakeClaimSchema = Type.Object(
  {
    life_s: Type.Optional(
      Type.Integer({ minimum: 60, maximum: 604_800, description: 'An hour unless it is said.' }),
    ),
  },
  { additionalProperties: false },
)
const Params = Type.Object({ chef: name })

export function chefRoutes(app: ApiInstance, context: AdminContext): void {
  const { chefs } = context
  const show = (chef: Chef) => {
    const nodes = chefs.owners().filter(({ chefId }) => chefId === chef.id)
    const { id, createdMs } = chef
    return {
      ...{ id, name: chef.name, nodes: nodes.map(({ node }) => node) },
      created_at: timeOf(createdMs),
    }
  }

  app.get(
    '/chefs',
    {
      schema: {
        ...about('list_chefs', 'List chefs'),
        response: { 200: listOf(ChefSchema), ...readProblems },
      },
    },
    async () => ({ items: chefs.all().map(show) }),
  )

  app.post(
    '/chefs',
    {
      schema: {
        ...about('create_chef', 'Create a chef'),
        body: NamedSchema,
        response: { 201: ChefSchema, ...writeProblems },
      },
    },
    async ({ body }, reply) => reply.code(201).send(show(await chefs.create(body.name))),
  )

  app.get(
    '/chefs/:chef',
    {
      schema: {
        ...about('get_chef', 'Get a chef'),
        params: Params,
        response: { 200: ChefSchema, ...readProblems },
      },
    },
    async ({ params }) => show(chefs.get(params.chef)),
  )

  app.delete(
    '/chefs/:chef',
    {
      schema: {
        ...about('delete_chef', 'Delete a chef'),
        description: '409 while nodes are bound to it.',
        params: Params,
        response: { 204: done, ...writeProblems },
      },
    },
    async ({ params }, reply) => {
      await chefs.delete(params.chef)
      return reply.code(204).send(undefined)
    },
  )
  claimRoutes(app, context)
}

function claimRoutes(app: ApiInstance, { chefs }: AdminContext): void {
  const show = (chef: string, { id, createdMs, expiresMs }: Claim) => ({
    ...{ id, chef, created_at: timeOf(createdMs), expires_at: timeOf(expiresMs) },
  })

  app.get(
    '/chefs/:chef/claims',
    {
      schema: {
        ...about('list_claims', 'List claim codes that wait to be used, without the codes'),
        params: Params,
        response: { 200: listOf(ClaimSchema), ...readProblems },
      },
    },
    async ({ params: { chef } }) => ({ items: chefs.claims(chef).map((it) => show(chef, it)) }),
  )

  app.post(
    '/chefs/:chef/claims',
    {
      schema: {
        ...about('create_claim', 'Make a claim code, for one node'),
        params: Params,
        body: MakeClaimSchema,
        response: { 201: MadeClaimSchema, ...writeProblems },
      },
    },
    async ({ params: { chef }, body }, reply) => {
      const { claim, code } = await chefs.makeClaim(chef, (body.life_s ?? lifeDefaultS) * 1_000)
      return unstored(reply.code(201)).send({ ...show(chef, claim), code })
    },
  )

  app.delete(
    '/chefs/:chef/claims/:claim_id',
    {
      schema: {
        ...about('revoke_claim', 'Take a claim code back'),
        params: Type.Object({ chef: name, claim_id: name }),
        response: { 204: done, ...writeProblems },
      },
    },
    async ({ params: { chef, claim_id: id } }, reply) => {
      await chefs.revokeClaim(chef, id)
      return reply.code(204).send(undefined)
    },
  )
}
