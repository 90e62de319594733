/** The jobs of a queue over HTTP. */
import { callerOf } from '../guards.ts'
import { presentJob } from '../present-queue.ts'
import { ProblemSchema } from '../problems.ts'
import { readJob } from '../read-job.ts'
import { PageQuery } from '../schemas/fields.ts'
import { CreateJobSchema, JobCollectionSchema, JobSchema } from '../schemas/queues.ts'
import {
  type ApiInstance,
  accepted,
  bodyProblems,
  commonProblems,
  JobParams,
  paths,
  QueueParams,
  type RouteContext,
} from './context.ts'

const tags = ['queues']

export function jobRoutes(app: ApiInstance, context: RouteContext): void {
  addCollection(app, context)
  addJob(app, context)
}

function addCollection(app: ApiInstance, { queues, tenants, addresses }: RouteContext): void {
  app.get(
    `${paths.queue}/jobs`,
    {
      schema: {
        operationId: 'list_queue_jobs',
        summary: 'List jobs, newest first',
        tags,
        params: QueueParams,
        querystring: PageQuery,
        response: { 200: JobCollectionSchema, ...commonProblems, 400: ProblemSchema },
      },
    },
    async (request) => {
      const { organization_name, project_name, queue_name } = request.params
      const scope = tenants.scope(callerOf(request), organization_name, project_name)
      const { page = 1, page_size: pageSize = 25 } = request.query
      const { id } = queues.get(scope, queue_name)
      const { items } = await queues.jobs.list(id, { page, pageSize })
      return { items: items.map(presentJob) }
    },
  )

  app.post(
    `${paths.queue}/jobs`,
    {
      schema: {
        operationId: 'create_queue_job',
        summary: 'Put a job into a queue',
        tags,
        params: QueueParams,
        body: CreateJobSchema,
        response: { 201: JobSchema, ...bodyProblems },
      },
    },
    async (request, reply) => {
      const { organization_name, project_name, queue_name } = request.params
      const scope = tenants.scope(callerOf(request), organization_name, project_name)
      const { input, metadata, webhook } = request.body
      const { id } = queues.get(scope, queue_name)
      const wanted = readJob({ input, metadata, webhook, field: 'webhook' }, addresses)
      const job = await queues.jobs.create(id, wanted)
      const path = `/organizations/${scope.organization}/projects/${scope.project}/queues/${queue_name}/jobs/${job.head.id}`
      return reply.code(201).header('location', path).send(presentJob(job))
    },
  )
}

function addJob(app: ApiInstance, { queues, tenants }: RouteContext): void {
  app.get(
    `${paths.queue}/jobs/:queue_job_id`,
    {
      schema: {
        operationId: 'get_queue_job',
        summary: 'Get a job',
        tags,
        params: JobParams,
        response: { 200: JobSchema, ...commonProblems },
      },
    },
    async (request) => {
      const { organization_name, project_name, queue_name, queue_job_id } = request.params
      const scope = tenants.scope(callerOf(request), organization_name, project_name)
      const { id } = queues.get(scope, queue_name)
      return presentJob(await queues.jobs.get(id, queue_job_id))
    },
  )

  app.delete(
    `${paths.queue}/jobs/:queue_job_id`,
    {
      schema: {
        operationId: 'delete_queue_job',
        summary: 'Cancel a job that is not finished; repeating it changes nothing',
        tags,
        params: JobParams,
        response: { 202: accepted, ...commonProblems, 409: ProblemSchema },
      },
    },
    async (request, reply) => {
      const { organization_name, project_name, queue_name, queue_job_id } = request.params
      const scope = tenants.scope(callerOf(request), organization_name, project_name)
      const { id } = queues.get(scope, queue_name)
      await queues.jobs.cancel(id, queue_job_id)
      return reply.code(202).send(undefined)
    },
  )
}
