/** Logs: of containers, which are not collected yet, and of what the system did with a group. */
import type { SystemEvent } from '../../system-log/index.ts'
import { callerOf } from '../guards.ts'
import { ProblemSchema } from '../problems.ts'
import {
  LogEntriesSchema,
  LogQuerySchema,
  type SystemLogsJson,
  SystemLogsSchema,
} from '../schemas/organization.ts'
import { ProblemList } from '../validation.ts'
import {
  type ApiInstance,
  bodyProblems,
  commonProblems,
  GroupParams,
  OrganizationParams,
  paths,
  type RouteContext,
} from './context.ts'

export function logRoutes(app: ApiInstance, context: RouteContext): void {
  addLogEntries(app, context)
  addSystemLogs(app, context)
}

function addLogEntries(app: ApiInstance, { tenants }: RouteContext): void {
  app.post(
    `${paths.organization}/log-entries`,
    {
      config: { access: 'read' },
      schema: {
        operationId: 'query_log_entries',
        summary: 'Query what containers wrote; empty, because it is not collected yet',
        tags: ['logs'],
        params: OrganizationParams,
        body: LogQuerySchema,
        response: { 200: LogEntriesSchema, ...bodyProblems },
      },
    },
    async (request) => {
      const { name } = tenants.organization(callerOf(request), request.params.organization_name)
      const { start, end } = readRange(request.body)
      return {
        organization_name: name,
        page_min_time: start.toISOString(),
        page_max_time: end.toISOString(),
        items: [],
      }
    },
  )
}

/** @throws {RequestInvalidError} */
function readRange({ start_time, end_time }: Readonly<{ start_time: string; end_time: string }>) {
  const problems = new ProblemList()
  const read = (field: string, text: string): Date => {
    // A leap second is a time of RFC 3339 and none of JavaScript's.
    const time = new Date(text)
    if (Number.isNaN(time.getTime())) problems.add(field, 'must be a time that exists')
    return time
  }
  const start = read('start_time', start_time)
  const end = read('end_time', end_time)
  if (start > end) problems.add('end_time', 'must not be before start_time')
  problems.throwIfAny()
  return { start, end }
}

function addSystemLogs(app: ApiInstance, { tenants, groups, systemLog }: RouteContext): void {
  app.get(
    `${paths.group}/system-logs`,
    {
      schema: {
        operationId: 'get_system_logs',
        summary: 'What happened to a group and its instances, newest first',
        tags: ['system_logs'],
        params: GroupParams,
        response: { 200: SystemLogsSchema, ...commonProblems, 400: ProblemSchema },
      },
    },
    async (request) => {
      const { organization_name, project_name, container_group_name } = request.params
      const scope = tenants.scope(callerOf(request), organization_name, project_name)
      const group = groups.get(scope, container_group_name)
      return { items: systemLog.of(group.id).map(presentEvent) }
    },
  )
}

const mib = 2 ** 20

function presentEvent(event: SystemEvent): SystemLogsJson['items'][number] {
  const { instance, machine, milliCpus, memoryBytes, storageBytes } = event
  return {
    event_name: event.name,
    event_time: new Date(event.atMs).toISOString(),
    ...(instance === undefined ? {} : { instance_id: instance }),
    ...(machine === undefined ? {} : { machine_id: machine }),
    resource_cpu: within(milliCpus / 1_000, 1, 16),
    resource_memory: within(memoryBytes / mib, 1_024, 61_440),
    resource_storage_amount: within(storageBytes, 1_073_741_824, 268_435_456_000),
    resource_gpu_class: event.gpuClass,
    version: String(event.version),
  }
}

/** Null where an operator allows more than the contract has room for. */
function within(value: number, minimum: number, maximum: number): number | null {
  return Number.isInteger(value) && value >= minimum && value <= maximum ? value : null
}
