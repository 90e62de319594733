/** The fleet: each node with whose it is, where it is seen, and what it lends. */
import Type, { type Static } from 'typebox'
import { machineIdOf } from '../../groups/index.ts'
import type { NodeListing } from '../../sessions/index.ts'
import type { ApiInstance } from '../routes/context.ts'
import { NameSchema, orNull, UuidSchema } from '../schemas/fields.ts'
import {
  type AdminContext,
  about,
  done,
  listOf,
  name,
  readProblems,
  writeProblems,
} from './context.ts'

const TextOrNull = orNull(Type.String())
const CapacitySchema = Type.Object({
  cpus: Type.Number(),
  memory_bytes: Type.Integer(),
  storage_bytes: Type.Integer(),
  gpus: Type.Array(Type.String()),
  region: Type.String(),
})
const NodeSchema = Type.Object({
  node: Type.String({ description: 'Its peer id.' }),
  machine_id: UuidSchema,
  chef: orNull(NameSchema),
  household: Type.Unsafe<string | null>({
    ...TextOrNull,
    description: 'By the address that the coordinator sees; null: not seen since its start.',
  }),
  country: Type.Unsafe<string | null>({
    ...TextOrNull,
    description: 'ISO 3166-1, by the same address; null: unknown.',
  }),
  connected: Type.Boolean(),
  banned: Type.Boolean(),
  instances: Type.Integer({ minimum: 0 }),
  capacity: Type.Unsafe<Static<typeof CapacitySchema> | null>({
    ...CapacitySchema,
    type: ['object', 'null'],
    description: 'What it lends; null: not told yet.',
  }),
})
const Params = Type.Object({ node: name })

export function nodeRoutes(app: ApiInstance, { chefs, nodes }: AdminContext): void {
  app.get(
    '/nodes',
    {
      schema: {
        ...about('list_nodes', 'List nodes: seen since the start, or claimed'),
        response: { 200: listOf(NodeSchema), ...readProblems },
      },
    },
    async () => {
      const names = new Map(chefs.all().map(({ id, name: chef }) => [id, chef]))
      return { items: nodes().map((node) => presentNode(node, names)) }
    },
  )

  app.delete(
    '/nodes/:node/chef',
    {
      schema: {
        ...about('release_node', 'Release a node from its chef'),
        description: 'It may be claimed by another then. What it runs goes on.',
        params: Params,
        response: { 204: done, ...writeProblems },
      },
    },
    async ({ params }, reply) => {
      await chefs.release(params.node)
      return reply.code(204).send(undefined)
    },
  )
}

function presentNode(
  { node, chef, household, country, connected, banned, instances, capacity }: NodeListing,
  chefNames: ReadonlyMap<string, string>,
): Static<typeof NodeSchema> {
  return {
    node,
    machine_id: machineIdOf(node),
    chef: (chef !== undefined && chefNames.get(chef)) || null,
    household: household ?? null,
    country: country ?? null,
    ...{ connected, banned, instances },
    capacity: capacity
      ? {
          cpus: capacity.milliCpus / 1_000,
          memory_bytes: capacity.memoryBytes,
          storage_bytes: capacity.storageBytes,
          gpus: capacity.gpus.map(({ name: gpu }) => gpu),
          region: capacity.region,
        }
      : null,
  }
}
