/** What an operator watches of a coordinator. */
export { createApiRequests } from './api-requests.ts'
export { defineCoordinatorMetrics } from './coordinator-metrics.ts'
