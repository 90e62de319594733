/** What a coordinator tells Prometheus. Every state is told at zero too, so that alerts fire. */
import type { PeerId } from '../../protocol/ids.ts'
import type { Series } from '../../protocol/metrics/index.ts'
import type { AuditLog } from '../audit/index.ts'
import type { Ledger } from '../ledger/index.ts'
import type { ReconcilerStats } from '../reconciler/index.ts'
import type { NodeView, PlacementState, SlotRecord } from '../slots/index.ts'
import type { ApiRequests } from './api-requests.ts'

type PeerView = Pick<NodeView, 'connected' | 'departed' | 'banned'>

export type CoordinatorMetricsComponents = Readonly<{
  nodes: ReadonlyMap<PeerId, PeerView>
  caches: ReadonlyMap<PeerId, PeerView>
  slots: ReadonlyMap<unknown, SlotRecord>
  /** Replicas that groups want. */
  slotsWanted: () => number
  stats: ReconcilerStats
  settled: () => boolean
  requests: ApiRequests
  audit: Pick<AuditLog, 'count'>
  ledger: Pick<Ledger, 'balances'>
}>

const placementStates: readonly PlacementState[] = [
  ...(['ordered', 'accepted', 'downloading', 'creating', 'running'] as const),
  ...(['restarting', 'stopping', 'stopped', 'failed'] as const),
]

export function defineCoordinatorMetrics(
  series: Series,
  components: CoordinatorMetricsComponents,
): void {
  definePeers(series, components)
  defineSlots(series, components)
  defineLoop(series, components)
  const { requests, audit, ledger } = components
  series.gauge({
    name: 'ledger_units',
    help: 'Balances of the ledger by kind of account, in units: together they are 0.',
    labels: ['account'],
    async read() {
      const sums = { organization: 0n, held: 0n, chef: 0n, revenue: 0n }
      for await (const [account, micros] of ledger.balances()) {
        sums[account.split(':', 1)[0] as keyof typeof sums] += micros
      }
      return Object.entries(sums).map(([account, micros]) => {
        return { labels: { account }, value: Number(micros) / 1e6 }
      })
    },
  })
  series.counter({
    name: 'api_requests_total',
    help: 'Requests to the API, by route as the API lists it.',
    labels: ['method', 'route', 'status'],
    read: () =>
      [...requests.all()].map(({ count, ...labels }) => ({ labels: { ...labels }, value: count })),
  })
  series.counter({
    name: 'api_request_seconds_total',
    help: 'Time from the head of a request to the end of its answer, of all together.',
    read: () => requests.totalMs / 1_000,
  })
  series.counter({
    name: 'audit_entries_total',
    help: 'Entries of the audit log, over restarts.',
    read: () => audit.count,
  })
}

function definePeers(
  series: Series,
  { nodes, caches }: Pick<CoordinatorMetricsComponents, 'nodes' | 'caches'>,
): void {
  for (const [role, all] of Object.entries({ nodes, caches })) {
    series.gauge({
      name: role,
      help: `Known ${role}, by whether they are here.`,
      labels: ['state'],
      read() {
        const counts = { connected: 0, away: 0, departed: 0, banned: 0 }
        for (const view of all.values()) counts[stateOf(view)] += 1
        return labelled('state', counts)
      },
    })
  }
}

function stateOf({ connected, departed, banned }: PeerView) {
  if (banned) return 'banned'
  if (departed) return 'departed'
  return connected ? 'connected' : 'away'
}

function defineSlots(
  series: Series,
  { slots, slotsWanted }: Pick<CoordinatorMetricsComponents, 'slots' | 'slotsWanted'>,
): void {
  series.gauge({
    name: 'slots',
    help: 'Slots that are placed, by how their newest epoch stands.',
    labels: ['state'],
    read() {
      const counts = Object.fromEntries(placementStates.map((state) => [state, 0]))
      for (const { placement } of slots.values()) {
        if (placement) counts[placement.state] = (counts[placement.state] ?? 0) + 1
      }
      return labelled('state', counts)
    },
  })
  series.gauge({
    name: 'slots_wanted',
    help: 'Replicas that the running groups ask for.',
    read: slotsWanted,
  })
  series.gauge({
    name: 'slots_leaving',
    help: 'Older epochs that may still run somewhere.',
    read() {
      let count = 0
      for (const { leaving } of slots.values()) count += leaving.length
      return count
    },
  })
}

function defineLoop(
  series: Series,
  { stats, settled }: Pick<CoordinatorMetricsComponents, 'stats' | 'settled'>,
): void {
  series.counter({
    name: 'orders_total',
    help: 'Orders signed since the start.',
    labels: ['kind'],
    read: () => labelled('kind', { allocation: stats.allocations, revocation: stats.revocations }),
  })
  series.counter({
    name: 'renewals_total',
    help: 'Leases renewed since the start.',
    read: () => stats.renewals,
  })
  series.counter({
    name: 'reconciler_passes_total',
    help: 'Times that desired and observed were compared.',
    read: () => stats.passes,
  })
  series.counter({
    name: 'reconciler_pass_seconds_total',
    help: 'Time that those took, with the writes that they led to.',
    read: () => stats.passMs / 1_000,
  })
  series.gauge({
    name: 'reconciler_last_pass_seconds',
    help: 'Time that the newest pass took.',
    read: () => stats.lastPassMs / 1_000,
  })
  series.gauge({
    name: 'settled',
    help: '0 during the reconnect window after a start: nothing silent is replaced.',
    read: () => (settled() ? 1 : 0),
  })
}

function labelled(name: string, counts: Readonly<Record<string, number>>) {
  return Object.entries(counts).map(([key, value]) => ({ labels: { [name]: key }, value }))
}
