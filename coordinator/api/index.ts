/** The HTTP API of the coordinator. */
export { apiPrefix, type CreateApiInit, createApi } from './create-api.ts'
export type { ApiSettings, ContainerLimits } from './settings.ts'
