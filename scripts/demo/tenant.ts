/**
 * The tenant's side of the demo: container groups over HTTP, as SaladCloud's contract has them,
 * with nothing that a tenant elsewhere would not have.
 */
import Type, { type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import { type Agent, request } from 'undici'
import { PotluckError } from '../../protocol/errors.ts'
import type { CoordinatorFacts } from '../network/index.ts'

const count = Type.Number({ minimum: 0 })

/** The parts of an answer that the demo reads. */
const InstanceSchema = Type.Object({
  id: Type.String(),
  state: Type.String(),
  potluck: Type.Object({
    slot: count,
    term: count,
    epoch: count,
    node: Type.String(),
    bytes_total: count,
    bytes_done: count,
    bytes_from_caches: count,
    bytes_from_peers: count,
    bytes_served: count,
    fault: Type.Optional(Type.Object({ code: Type.String(), message: Type.String() })),
  }),
})
export type DemoInstance = Static<typeof InstanceSchema>

const instancesSchema = Compile(Type.Object({ instances: Type.Array(InstanceSchema) }))
const GroupSchema = Type.Object({
  current_state: Type.Object({
    status: Type.String(),
    description: Type.Union([Type.String(), Type.Null()]),
  }),
  potluck: Type.Object({
    image: Type.Object({
      state: Type.String(),
      bytes_done: count,
      bytes_total: count,
      fault: Type.Optional(Type.Object({ code: Type.String(), message: Type.String() })),
    }),
  }),
})
export type DemoGroup = Static<typeof GroupSchema>
const groupSchema = Compile(GroupSchema)

export interface Tenant {
  deploy(body: Readonly<Record<string, unknown>>): Promise<void>
  group(name: string): Promise<DemoGroup>
  instances(name: string): Promise<readonly DemoInstance[]>
  start(name: string): Promise<void>
  stop(name: string): Promise<void>
}

/** @param signal ends every request */
export function createTenant(
  { baseUrl, apiKey, organization, project }: CoordinatorFacts,
  { agent, signal }: { readonly agent: Agent; readonly signal: AbortSignal },
): Tenant {
  const containers = `${baseUrl}/organizations/${organization}/projects/${project}/containers`
  const call = async (method: 'GET' | 'POST', path: string, body?: object): Promise<unknown> => {
    const reply = await request(`${containers}${path}`, {
      method,
      dispatcher: agent,
      signal,
      headersTimeout: 30_000,
      headers: {
        'salad-api-key': apiKey,
        ...(body ? { 'content-type': 'application/json' } : {}),
      },
      ...(body ? { body: JSON.stringify(body) } : {}),
    })
    const text = await reply.body.text()
    if (reply.statusCode >= 300) {
      throw new PotluckError(
        'API_REFUSED',
        `${method} ${path || '/'}: the API answered ${reply.statusCode} ${text.slice(0, 500)}`,
      )
    }
    return text ? JSON.parse(text) : undefined
  }
  return {
    async deploy(body) {
      await call('POST', '', body)
    },
    async group(name) {
      return groupSchema.Parse(await call('GET', `/${name}`))
    },
    async instances(name) {
      return instancesSchema.Parse(await call('GET', `/${name}/instances`)).instances
    },
    async start(name) {
      await call('POST', `/${name}/start`)
    },
    async stop(name) {
      await call('POST', `/${name}/stop`)
    },
  }
}
