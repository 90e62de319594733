/** What a cache tells Prometheus: what all peers tell, and what it read from registries. */
import {
  definePeerMetrics,
  type PeerMetricsComponents,
  type Series,
} from '../../protocol/metrics/index.ts'
import type { MeteredSource } from './metered-source.ts'

export type CacheMetricsComponents = PeerMetricsComponents &
  Readonly<{ registry: Pick<MeteredSource, 'readBytes'> }>

export function defineCacheMetrics(series: Series, components: CacheMetricsComponents): void {
  series.counter({
    name: 'registry_read_bytes_total',
    help: 'Bytes of images read from registries.',
    read: components.registry.readBytes,
  })
  definePeerMetrics(series, components)
}
