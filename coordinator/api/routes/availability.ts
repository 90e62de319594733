/** What the network could run now. */
import type { Static } from 'typebox'
import { cpuAvailability, gpuAvailability, type Wanted } from '../availability.ts'
import { callerOf } from '../guards.ts'
import {
  CpuAvailabilitySchema,
  CpuWantedSchema,
  GpuAvailabilitySchema,
  GpuWantedSchema,
} from '../schemas/organization.ts'
import {
  type ApiInstance,
  bodyProblems,
  OrganizationParams,
  paths,
  type RouteContext,
} from './context.ts'

const tags = ['organizations']

export function availabilityRoutes(app: ApiInstance, { tenants, view }: RouteContext): void {
  app.post(
    `${paths.organization}/availability/sce-cpu-availability`,
    {
      config: { access: 'read' },
      schema: {
        operationId: 'get_cpu_availability',
        summary: 'How many cores are free',
        tags,
        params: OrganizationParams,
        body: CpuWantedSchema,
        response: { 200: CpuAvailabilitySchema, ...bodyProblems },
      },
    },
    async (request) => {
      tenants.organization(callerOf(request), request.params.organization_name)
      const { free, onCall } = cpuAvailability(view.nodes(), wantedOf(request.body))
      return { available_cpu_batch: free, on_call_cpu: onCall }
    },
  )

  app.post(
    `${paths.organization}/availability/sce-gpu-availability`,
    {
      config: { access: 'read' },
      schema: {
        operationId: 'get_gpu_availability',
        summary: 'How many GPUs of some classes are free',
        tags,
        params: OrganizationParams,
        body: GpuWantedSchema,
        response: { 200: GpuAvailabilitySchema, ...bodyProblems },
      },
    },
    async (request) => {
      tenants.organization(callerOf(request), request.params.organization_name)
      const classes = new Set(request.body.gpu_classes.map((id) => id.toLowerCase()))
      const { free, onCall } = gpuAvailability(view.nodes(), wantedOf(request.body), classes)
      return {
        ...{ available_gpu_batch: free, available_gpu_low: free },
        ...{ available_gpu_medium: free, available_gpu_high: free },
        on_call_gpu: onCall,
      }
    },
  )
}

function wantedOf(body: Static<typeof CpuWantedSchema>): Wanted {
  return {
    milliCpus: (body.cpu ?? 0) * 1_000,
    memoryBytes: (body.memory ?? 0) * 2 ** 20,
    storageBytes: body.storage_amount ?? 0,
    countries: new Set(body.country_codes),
  }
}
