/** The HTTP API of the coordinator. */
export { type AnsweredRequest, apiPrefix, type CreateApiInit, createApi } from './create-api.ts'
export type { Health } from './routes/health.ts'
export type { ApiSettings, ContainerLimits } from './settings.ts'
