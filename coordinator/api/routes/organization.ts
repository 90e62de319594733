/** What a tenant may use: GPU classes and quotas. */
import { gpuClasses } from '../../groups/index.ts'
import { callerOf } from '../guards.ts'
import { GpuClassesSchema, QuotasSchema } from '../schemas/group-response.ts'
import {
  type ApiInstance,
  commonProblems,
  OrganizationParams,
  paths,
  type RouteContext,
} from './context.ts'

const priorities = ['high', 'medium', 'low', 'batch'] as const
const microsPerUnit = 1_000_000

export function organizationRoutes(
  app: ApiInstance,
  { groups, tenants, settings, prices }: RouteContext,
): void {
  app.get(
    `${paths.organization}/gpu-classes`,
    {
      schema: {
        operationId: 'list_gpu_classes',
        summary: 'List GPU classes',
        tags: ['organization_data'],
        params: OrganizationParams,
        response: { 200: GpuClassesSchema, ...commonProblems },
      },
    },
    async (request) => {
      tenants.organization(callerOf(request), request.params.organization_name)
      const items = gpuClasses.map((gpuClass) => ({
        ...{ id: gpuClass.id, name: gpuClass.name, gpu_class_type: 'community' as const },
        // Of the card alone, an hour, in whole units as the contract has it.
        prices: priorities.map((priority) => {
          const micros = prices.gpuMicrosPerHour(gpuClass, priority)
          return { priority, price: (micros / microsPerUnit).toFixed(6).replace(/\.?0+$/, '') }
        }),
      }))
      return { items }
    },
  )

  app.get(
    `${paths.organization}/quotas`,
    {
      schema: {
        operationId: 'get_quotas',
        summary: 'Get quotas',
        tags: ['quotas'],
        params: OrganizationParams,
        response: { 200: QuotasSchema, ...commonProblems },
      },
    },
    async (request) => {
      const { id } = tenants.organization(callerOf(request), request.params.organization_name)
      return {
        container_groups_quotas: {
          container_replicas_quota: tenants.quotaOf(id) ?? settings.replicasQuota,
          container_replicas_used: groups.replicasOf(id),
        },
      }
    },
  )
}
