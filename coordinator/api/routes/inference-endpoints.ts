/** Inference endpoints, and the jobs that an organization has there: it sees no other's. */
import { type Endpoint, EndpointUnavailableError } from '../../endpoints/index.ts'
import type { Job } from '../../queues/index.ts'
import { callerOf } from '../guards.ts'
import { presentJobFields } from '../present-queue.ts'
import { ProblemSchema } from '../problems.ts'
import { readJob } from '../read-job.ts'
import { PageQuery } from '../schemas/fields.ts'
import {
  CreateEndpointJobSchema,
  EndpointCollectionSchema,
  EndpointJobCollectionSchema,
  type EndpointJobJson,
  EndpointJobSchema,
  EndpointSchema,
} from '../schemas/inference.ts'
import {
  type ApiInstance,
  accepted,
  actionProblems,
  bodyProblems,
  EndpointJobParams,
  EndpointParams,
  OrganizationParams,
  paths,
  type RouteContext,
} from './context.ts'

const tags = ['inference_endpoints']

export function inferenceEndpointRoutes(app: ApiInstance, context: RouteContext): void {
  addEndpoints(app, context)
  addJobs(app, context)
  addJob(app, context)
}

function addEndpoints(app: ApiInstance, { endpoints, tenants }: RouteContext): void {
  app.get(
    paths.endpoints,
    {
      schema: {
        operationId: 'list_inference_endpoints',
        summary: 'List inference endpoints, by name',
        tags,
        params: OrganizationParams,
        querystring: PageQuery,
        response: { 200: EndpointCollectionSchema, ...actionProblems },
      },
    },
    async (request) => {
      tenants.organization(callerOf(request), request.params.organization_name)
      const { page = 1, page_size: size = 25 } = request.query
      const all = endpoints.list()
      const items = all.slice((page - 1) * size, page * size).map(presentEndpoint)
      return { page, page_size: size, total_size: all.length, items }
    },
  )

  app.get(
    paths.endpoint,
    {
      schema: {
        operationId: 'get_inference_endpoint',
        summary: 'Get an inference endpoint',
        tags,
        params: EndpointParams,
        response: { 200: EndpointSchema, ...actionProblems },
      },
    },
    async (request) => {
      const { organization_name, inference_endpoint_name } = request.params
      tenants.organization(callerOf(request), organization_name)
      return presentEndpoint(endpoints.get(inference_endpoint_name))
    },
  )
}

function addJobs(app: ApiInstance, context: RouteContext): void {
  const { endpoints, queues, tenants, addresses } = context

  app.get(
    `${paths.endpoint}/jobs`,
    {
      schema: {
        operationId: 'list_inference_endpoint_jobs',
        summary: "List the organization's jobs at an endpoint, newest first",
        tags,
        params: EndpointParams,
        querystring: PageQuery,
        response: { 200: EndpointJobCollectionSchema, ...actionProblems },
      },
    },
    async (request) => {
      const { organization_name, inference_endpoint_name } = request.params
      const { id: owner } = tenants.organization(callerOf(request), organization_name)
      const endpoint = endpoints.get(inference_endpoint_name)
      const { page = 1, page_size: pageSize = 25 } = request.query
      const queue = queueOf(endpoint, context)
      const { items, total } = await queues.jobs.list(queue, { page, pageSize }, owner)
      return {
        ...{ page, page_size: pageSize, total_size: total },
        items: items.map((job) => presentEndpointJob(job, endpoint, organization_name)),
      }
    },
  )

  app.post(
    `${paths.endpoint}/jobs`,
    {
      schema: {
        operationId: 'create_inference_endpoint_job',
        summary: 'Send a job to an endpoint',
        tags,
        params: EndpointParams,
        body: CreateEndpointJobSchema,
        response: { 201: EndpointJobSchema, ...bodyProblems },
      },
    },
    async (request, reply) => {
      const { organization_name, inference_endpoint_name } = request.params
      const { id: owner } = tenants.organization(callerOf(request), organization_name)
      const endpoint = endpoints.get(inference_endpoint_name)
      const { input, metadata, webhook: deprecated, webhook_url: url } = request.body
      const field = url === undefined ? 'webhook' : 'webhook_url'
      const wanted = readJob({ input, metadata, webhook: url ?? deprecated, field }, addresses)
      const job = await queues.jobs.create(queueOf(endpoint, context), { ...wanted, owner })
      const path = `/organizations/${organization_name}/inference-endpoints/${endpoint.name}/jobs/${job.head.id}`
      return reply
        .code(201)
        .header('location', path)
        .send(presentEndpointJob(job, endpoint, organization_name))
    },
  )
}

function addJob(app: ApiInstance, context: RouteContext): void {
  const { endpoints, queues, tenants } = context
  const path = `${paths.endpoint}/jobs/:inference_endpoint_job_id`

  app.get(
    path,
    {
      schema: {
        operationId: 'get_inference_endpoint_job',
        summary: 'Get a job',
        tags,
        params: EndpointJobParams,
        response: { 200: EndpointJobSchema, ...actionProblems },
      },
    },
    async (request) => {
      const { organization_name, inference_endpoint_name } = request.params
      const { id: owner } = tenants.organization(callerOf(request), organization_name)
      const endpoint = endpoints.get(inference_endpoint_name)
      const { inference_endpoint_job_id: id } = request.params
      const job = await queues.jobs.get(queueOf(endpoint, context), id, owner)
      return presentEndpointJob(job, endpoint, organization_name)
    },
  )

  app.delete(
    path,
    {
      schema: {
        operationId: 'delete_inference_endpoint_job',
        summary: 'Cancel a job that is not finished; repeating it changes nothing',
        tags,
        params: EndpointJobParams,
        response: { 202: accepted, ...actionProblems, 409: ProblemSchema },
      },
    },
    async (request, reply) => {
      const { organization_name, inference_endpoint_name } = request.params
      const { id: owner } = tenants.organization(callerOf(request), organization_name)
      const endpoint = endpoints.get(inference_endpoint_name)
      const { inference_endpoint_job_id: id } = request.params
      await queues.jobs.cancel(queueOf(endpoint, context), id, owner)
      return reply.code(202).send(undefined)
    },
  )
}

/** @throws {EndpointUnavailableError} */
function queueOf(endpoint: Endpoint, { queues }: RouteContext): string {
  const { organization, project, queueName } = endpoint
  const queue = queues.find(organization, project, queueName)
  if (!queue) throw new EndpointUnavailableError(endpoint.name)
  return queue.id
}

function presentEndpoint(endpoint: Endpoint) {
  const { queue: _, project: __, queueName: ___, organization, ...shown } = endpoint
  return { ...shown, organization_name: organization }
}

function presentEndpointJob(job: Job, { name }: Endpoint, organization: string): EndpointJobJson {
  const { webhook } = job.head
  return {
    ...presentJobFields(job),
    inference_endpoint_name: name,
    organization_name: organization,
    ...(webhook === undefined ? {} : { webhook, webhook_url: webhook }),
  }
}
