/** Numbers of this cache for Prometheus. */
export { defineCacheMetrics } from './cache-metrics.ts'
export { meterSource } from './metered-source.ts'
