/** What is kept of a node's service and faults over restarts: its hours, what fades, its rest. */
import Type, { type Static } from 'typebox'
import type { PeerId } from '../../protocol/ids.ts'
import { type Collection, collection, type Store } from '../../protocol/store/index.ts'
import { ListSchema, TimeMsSchema } from '../../protocol/wire/index.ts'
import type { Conduct } from './conduct.ts'
import { type ServiceRecord, ServiceRecordSchema } from './probation.ts'

const OffenceSchema = Type.Object({
  kind: Type.Enum(['lapse', 'refusal', 'not-stopped', 'gpu-changed', 'gpu-elsewhere']),
  points: Type.Number({ minimum: 0 }),
  atMs: TimeMsSchema,
})
const NodeRecordSchema = Type.Object({
  service: ServiceRecordSchema,
  offences: ListSchema(OffenceSchema, 16),
  restsUntilMs: TimeMsSchema,
})
type NodeRecord = Static<typeof NodeRecordSchema>

/** Nodes remembered; beyond, those longest away are strangers again. */
const nodesMax = 100_000

export interface NodeRecords {
  readonly services: ReadonlyMap<PeerId, ServiceRecord>
  conductOf(node: PeerId): Conduct | undefined
  set(service: ServiceRecord): void
  setConduct(node: PeerId, conduct: Conduct): void
  /** Writes what changed since the last time. */
  flush(): Promise<void>
}

export async function openNodeRecords({ store }: { readonly store: Store }): Promise<NodeRecords> {
  const records: Collection<NodeRecord> = collection(store, 'node-service', NodeRecordSchema)
  const services = new Map<PeerId, ServiceRecord>()
  const conducts = new Map<PeerId, Conduct>()
  const dirty = new Set<PeerId>()
  for await (const [, { service, offences, restsUntilMs }] of records.entries()) {
    services.set(service.node, service)
    if (offences.length === 0 && restsUntilMs === 0) continue
    const scores = Object.fromEntries(offences.map(({ kind, ...score }) => [kind, score]))
    conducts.set(service.node, { scores, restsUntilMs })
  }
  const recordOf = (service: ServiceRecord): NodeRecord => {
    const { scores = {}, restsUntilMs = 0 } = conducts.get(service.node) ?? {}
    const kinds = Object.keys(scores) as (keyof typeof scores)[]
    const offences = kinds.flatMap((kind) => {
      const score = scores[kind]
      return score ? [{ kind, points: score.points, atMs: Math.round(score.atMs) }] : []
    })
    return { service, offences, restsUntilMs: Math.round(restsUntilMs) }
  }
  const forgotten = (): readonly PeerId[] => {
    if (services.size <= nodesMax) return []
    const byAge = [...services.values()].sort((a, b) => a.lastMs - b.lastMs)
    return byAge.slice(0, services.size - nodesMax).map(({ node }) => node)
  }
  return {
    services,
    conductOf: (node) => conducts.get(node),
    set(service) {
      services.set(service.node, service)
      dirty.add(service.node)
    },
    setConduct(node, conduct) {
      conducts.set(node, conduct)
      dirty.add(node)
    },
    async flush() {
      const gone = forgotten()
      for (const node of gone) {
        services.delete(node)
        conducts.delete(node)
        dirty.delete(node)
      }
      const changed = [...dirty].flatMap((node) => services.get(node) ?? [])
      dirty.clear()
      const writes = changed.map((service) => records.putOperation(service.node, recordOf(service)))
      const operations = [...writes, ...gone.map((node) => records.deleteOperation(node))]
      if (operations.length > 0) await store.batch(operations)
    },
  }
}
