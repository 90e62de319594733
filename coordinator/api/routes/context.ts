/** What every route has at hand. */

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from 'fastify'
import Type from 'typebox'
import type { ControlPlaneView, Groups } from '../../groups/index.ts'
import type { Prices } from '../../ledger/index.ts'
import type { Tenants } from '../../tenants/index.ts'
import { ProblemSchema } from '../problems.ts'
import type { ApiSettings } from '../settings.ts'
import type { BillingDesk } from './billing.ts'

export type RouteContext = Readonly<{
  groups: Groups
  tenants: Tenants
  view: ControlPlaneView
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

export const paths = {
  organization: '/organizations/:organization_name',
  groups: '/organizations/:organization_name/projects/:project_name/containers',
  group:
    '/organizations/:organization_name/projects/:project_name/containers/:container_group_name',
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
/** No body. */
export const accepted = Type.Unsafe<undefined>({ type: 'null', description: 'Accepted' })
