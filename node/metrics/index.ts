/** Numbers of this node for Prometheus. */
export { defineNodeMetrics } from './node-metrics.ts'
export { createPhaseTimes, type PhaseTimes } from './phase-times.ts'
