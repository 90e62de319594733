/** What nodes and caches alike tell Prometheus, so that one dashboard fits both. */
import type { BundleStore } from '../chunk-store/index.ts'
import type { PeerId } from '../ids.ts'
import { type Mesh, toLibp2pPeerId } from '../mesh/index.ts'
import type { Swarm, SwarmLimits } from '../swarm/index.ts'
import { defineMeshMetrics, type MeshMetricsComponents } from './mesh-metrics.ts'
import type { Series } from './series.ts'
import { defineStoreMetrics } from './store-metrics.ts'
import { defineSwarmMetrics } from './swarm-metrics.ts'

/** The parts of a node or a cache that have something to tell. */
export type PeerMetricsComponents = Readonly<{
  peer: Readonly<{
    mesh: Mesh
    reach: MeshMetricsComponents['reach']
    keeper: Readonly<{ coordinator: PeerId }>
  }>
  chunks: BundleStore
  swarm: Pick<Swarm, 'stats'>
  /** In force now. */
  limits: () => SwarmLimits
}>

/** Connections, the chunk store, and what the swarm moved. */
export function definePeerMetrics(series: Series, components: PeerMetricsComponents): void {
  const { peer, chunks, swarm, limits } = components
  const coordinator = () => toLibp2pPeerId(peer.keeper.coordinator)
  defineMeshMetrics(series, { mesh: peer.mesh, reach: peer.reach, coordinator })
  defineStoreMetrics(series, chunks)
  defineSwarmMetrics(series, { swarm, limits })
}
