/** Numbers for Prometheus: read when asked for, told on a port of the process's own. */
export { type MetricsServer, startMetricsServer } from './metrics-server.ts'
export { definePeerMetrics, type PeerMetricsComponents } from './peer-metrics.ts'
export type { Series } from './series.ts'
export { type MetricsSettings, metricsSettings } from './settings.ts'
