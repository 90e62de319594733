/** What every route has at hand. */

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from 'fastify'
import Type from 'typebox'
import type { AddressPolicy } from '../../../protocol/address/index.ts'
import type { Endpoints } from '../../endpoints/index.ts'
import type { ControlPlaneView, Groups } from '../../groups/index.ts'
import type { Prices } from '../../ledger/index.ts'
import type { Queues } from '../../queues/index.ts'
import type { SystemLog } from '../../system-log/index.ts'
import type { Tenants } from '../../tenants/index.ts'
import type { WebhookSecretKeys } from '../../webhooks/index.ts'
import { ProblemSchema } from '../problems.ts'
import type { ApiSettings } from '../settings.ts'
import type { BillingDesk } from './billing.ts'

export type RouteContext = Readonly<{
  groups: Groups
  tenants: Tenants
  queues: Queues
  endpoints: Endpoints
  view: ControlPlaneView
  systemLog: Pick<SystemLog, 'of'>
  webhookKeys: WebhookSecretKeys
  /** Where addresses that tenants name may lead. */
  addresses: AddressPolicy
  settings: ApiSettings
  prices: Prices
  billing: BillingDesk
}>

export type ApiInstance = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>

/** Names are looked up, not validated: one that no name can be is one that is not found. */
const name = Type.String()
export const OrganizationParams = Type.Object({ organization_name: name })
export const ProjectParams = Type.Object({ organization_name: name, project_name: name })
export const GroupParams = Type.Object({
  ...ProjectParams.properties,
  container_group_name: name,
})
export const InstanceParams = Type.Object({
  ...GroupParams.properties,
  container_group_instance_id: name,
})

export const QueueParams = Type.Object({ ...ProjectParams.properties, queue_name: name })
export const JobParams = Type.Object({ ...QueueParams.properties, queue_job_id: name })
export const EndpointParams = Type.Object({
  ...OrganizationParams.properties,
  inference_endpoint_name: name,
})
export const EndpointJobParams = Type.Object({
  ...EndpointParams.properties,
  inference_endpoint_job_id: name,
})

export const paths = {
  organization: '/organizations/:organization_name',
  groups: '/organizations/:organization_name/projects/:project_name/containers',
  group:
    '/organizations/:organization_name/projects/:project_name/containers/:container_group_name',
  queues: '/organizations/:organization_name/projects/:project_name/queues',
  queue: '/organizations/:organization_name/projects/:project_name/queues/:queue_name',
  endpoints: '/organizations/:organization_name/inference-endpoints',
  endpoint: '/organizations/:organization_name/inference-endpoints/:inference_endpoint_name',
} as const

/** For the documentation: the statuses that any request may end in. */
export const commonProblems = {
  401: ProblemSchema,
  404: ProblemSchema,
  429: ProblemSchema,
  503: ProblemSchema,
}
export const bodyProblems = {
  ...commonProblems,
  400: ProblemSchema,
  403: ProblemSchema,
  413: ProblemSchema,
  415: ProblemSchema,
}
/** What may also stand in the way of something that is asked without a body. */
export const actionProblems = { ...commonProblems, 400: ProblemSchema, 403: ProblemSchema }
/** No body. */
export const accepted = Type.Unsafe<undefined>({ type: 'null', description: 'Accepted' })
