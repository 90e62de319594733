/** Numbers for Prometheus: read when asked for, told on a port of the process's own. */
export { defineMeshMetrics } from './mesh-metrics.ts'
export { type MetricsServer, startMetricsServer } from './metrics-server.ts'
export type { Series } from './series.ts'
export { type MetricsSettings, metricsSettings } from './settings.ts'
export { defineStoreMetrics } from './store-metrics.ts'
export { defineSwarmMetrics } from './swarm-metrics.ts'
