/**
 * Whether the process lives, and whether it can do its work; without a key, because load balancers
 * and supervisors have none. Nothing here tells a stranger of tenants or nodes.
 */
import Type from 'typebox'
import type { ApiInstance } from './context.ts'

export type Readiness = Readonly<{
  /** Writes are taken and reach the disk. */
  storeWritable: boolean
  /** False during the reconnect window: all is answered, but nothing silent is replaced yet. */
  settled: boolean
  /** False: another coordinates, or this one runs on an old backup; nothing is ordered. */
  inForce: boolean
}>

export interface Health {
  /** Cheap, however often it is asked. Never rejects. */
  readiness(): Promise<Readiness>
}

const HealthSchema = Type.Object(
  { status: Type.Literal('alive') },
  { title: 'Health', description: 'The process answers.' },
)
const ReadinessSchema = Type.Object(
  {
    status: Type.Union([
      Type.Literal('ready'),
      Type.Literal('settling'),
      Type.Literal('unavailable'),
    ]),
    store_writable: Type.Boolean(),
    settled: Type.Boolean({
      description: 'false while nodes reconnect after a restart: silent ones are not replaced yet',
    }),
    in_force: Type.Boolean({
      description: 'false when it was deposed or runs on an old backup: its operator has to act',
    }),
  },
  { title: 'Readiness' },
)

/** At the root, outside of `/api/public`. */
export function healthRoutes(app: ApiInstance, health: Health): void {
  const tags = ['health']
  app.get(
    '/healthz',
    {
      schema: {
        ...{ operationId: 'healthz', summary: 'Whether the process answers', tags, security: [] },
        response: { 200: HealthSchema },
      },
    },
    async () => ({ status: 'alive' as const }),
  )
  app.get(
    '/readyz',
    {
      schema: {
        ...{ operationId: 'readyz', summary: 'Whether requests can be served', tags, security: [] },
        response: { 200: ReadinessSchema, 503: ReadinessSchema },
      },
    },
    async (_request, reply) => {
      const { storeWritable, settled, inForce } = await health.readiness()
      const isAble = storeWritable && inForce
      const status = isAble ? (settled ? 'ready' : 'settling') : 'unavailable'
      reply.code(isAble ? 200 : 503)
      return { status, store_writable: storeWritable, settled, in_force: inForce } as const
    },
  )
}
