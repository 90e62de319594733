/** What a node tells Prometheus: what all peers tell, and how its instances come along. */
import {
  definePeerMetrics,
  type PeerMetricsComponents,
  type Series,
} from '../../protocol/metrics/index.ts'
import type { Allocations } from '../allocations/index.ts'
import { type PhaseTimes, phases } from './phase-times.ts'

export type NodeMetricsComponents = PeerMetricsComponents &
  Readonly<{
    allocations: Pick<Allocations, 'docket'>
    times: Pick<PhaseTimes, 'sums'>
    version: string
    chef: () => string | undefined
  }>

/** Shown at zero too: a series that comes and goes makes alerts that do not fire. */
const states = ['accepted', 'downloading', 'creating', 'running', 'restarting', 'stopping'] as const

export function defineNodeMetrics(series: Series, components: NodeMetricsComponents): void {
  const { swarm, allocations, times, version, chef } = components
  series.gauge({
    name: 'node_info',
    help: 'Always 1; the version is a label.',
    labels: ['version'],
    read: () => [{ labels: { version }, value: 1 }],
  })
  series.gauge({
    name: 'node_claimed',
    help: 'Whether this node belongs to a chef, who is a label.',
    labels: ['chef'],
    read: () => [{ labels: { chef: chef() ?? '' }, value: chef() === undefined ? 0 : 1 }],
  })
  definePeerMetrics(series, components)
  series.gauge({
    name: 'instances',
    help: 'Instances that have not ended, by state.',
    labels: ['state'],
    read() {
      const reports = allocations.docket.reports()
      return states.map((state) => ({
        labels: { state },
        value: reports.filter((report) => report.state === state).length,
      }))
    },
  })
  series.gauge({
    name: 'engine_served_bytes',
    help: 'Image bytes, decrypted, that this node gave its engine for the instances that it has.',
    read: () => allocations.docket.reports().reduce((sum, it) => sum + it.bytesServed, 0),
  })
  series.counter({
    name: 'phase_seconds_total',
    help: 'Time spent in each phase of starting instances.',
    labels: ['phase'],
    read() {
      const { findingPeersMs, descriptorMs, chunksMs, endgameMs } = swarm.stats().phases
      const { unpack, start } = times.sums()
      const ms = {
        ...{ finding_peers: findingPeersMs, descriptor: descriptorMs, chunks: chunksMs },
        ...{ endgame: endgameMs, unpack: unpack.ms, start: start.ms },
      }
      return Object.entries(ms).map(([phase, value]) => ({
        labels: { phase },
        value: value / 1_000,
      }))
    },
  })
  series.counter({
    name: 'phases_total',
    help: 'How often a node unpacked and started; seconds / phases is the mean.',
    labels: ['phase'],
    read: () => phases.map((phase) => ({ labels: { phase }, value: times.sums()[phase].count })),
  })
}
