/** What a cache tells Prometheus: what all peers tell, and what it read from registries. */
import type { BundleStore } from '../../protocol/chunk-store/index.ts'
import { toLibp2pPeerId } from '../../protocol/mesh/index.ts'
import {
  defineMeshMetrics,
  defineStoreMetrics,
  defineSwarmMetrics,
  type Series,
} from '../../protocol/metrics/index.ts'
import type { Peer } from '../../protocol/peer/index.ts'
import type { Swarm, SwarmLimits } from '../../protocol/swarm/index.ts'
import type { MeteredSource } from './metered-source.ts'

export type CacheMetricsComponents = Readonly<{
  peer: Pick<Peer, 'mesh' | 'keeper' | 'lists'>
  bundles: BundleStore
  swarm: Pick<Swarm, 'stats'>
  limits: () => SwarmLimits
  registry: Pick<MeteredSource, 'readBytes'>
}>

export function defineCacheMetrics(series: Series, components: CacheMetricsComponents): void {
  const { peer, bundles, swarm, limits, registry } = components
  series.counter({
    name: 'registry_read_bytes_total',
    help: 'Bytes of images read from registries.',
    read: registry.readBytes,
  })
  const coordinator = () => toLibp2pPeerId(peer.keeper.coordinator)
  defineMeshMetrics(series, { mesh: peer.mesh, coordinator })
  defineStoreMetrics(series, bundles)
  defineSwarmMetrics(series, { swarm, limits, isCache: peer.lists.isCache })
}
