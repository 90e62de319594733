/** Queues over HTTP: every answer to a write is sent after the write is on disk. */
import { type GroupRecord, type ProjectScope, queueNameOf } from '../../groups/index.ts'
import { callerOf } from '../guards.ts'
import { mergePatchMediaType } from '../json-body.ts'
import { presentQueue } from '../present-queue.ts'
import { ProblemSchema } from '../problems.ts'
import {
  CreateQueueSchema,
  PatchQueueSchema,
  QueueCollectionSchema,
  QueueSchema,
} from '../schemas/queues.ts'
import {
  type ApiInstance,
  accepted,
  bodyProblems,
  commonProblems,
  ProjectParams,
  paths,
  QueueParams,
  type RouteContext,
} from './context.ts'

const tags = ['queues']

export function queueRoutes(app: ApiInstance, context: RouteContext): void {
  addCollection(app, context)
  addQueue(app, context)
}

function usersOf(
  { groups }: RouteContext,
  scope: ProjectScope,
  name: string,
): readonly GroupRecord[] {
  return groups.list(scope).filter((group) => queueNameOf(group) === name)
}

/** Who would be left without the queue, for people. */
function namesOfUsers(context: RouteContext, scope: ProjectScope, name: string): readonly string[] {
  const groups = usersOf(context, scope, name).map((group) => `container group "${group.name}"`)
  const place = `${scope.organization}/${scope.project}/${name}`
  const endpoints = context.endpoints
    .list()
    .filter(({ queue }) => queue === place)
    .map((endpoint) => `inference endpoint "${endpoint.name}"`)
  return [...groups, ...endpoints]
}

function addCollection(app: ApiInstance, context: RouteContext): void {
  const { queues, tenants, settings } = context

  app.get(
    paths.queues,
    {
      schema: {
        operationId: 'list_queues',
        summary: 'List queues, by name',
        tags,
        params: ProjectParams,
        response: { 200: QueueCollectionSchema, ...commonProblems },
      },
    },
    async (request) => {
      const { organization_name, project_name } = request.params
      const scope = tenants.scope(callerOf(request), organization_name, project_name)
      const users = Map.groupBy(context.groups.list(scope), queueNameOf)
      const items = queues.list(scope).map((queue) => {
        return presentQueue(queue, users.get(queue.name) ?? [], settings, context)
      })
      return { items }
    },
  )

  app.post(
    paths.queues,
    {
      schema: {
        operationId: 'create_queue',
        summary: 'Create a queue',
        tags,
        params: ProjectParams,
        body: CreateQueueSchema,
        response: { 201: QueueSchema, ...bodyProblems, 409: ProblemSchema },
      },
    },
    async (request, reply) => {
      const { organization_name, project_name } = request.params
      const scope = tenants.scope(callerOf(request), organization_name, project_name)
      const { name, display_name: displayName = name, description = '' } = request.body
      const queue = await queues.create(scope, { name, displayName, description })
      const path = `/organizations/${scope.organization}/projects/${scope.project}/queues/${name}`
      return reply
        .code(201)
        .header('location', path)
        .send(presentQueue(queue, [], settings, context))
    },
  )
}

function addQueue(app: ApiInstance, context: RouteContext): void {
  const { queues, tenants, settings } = context

  app.get(
    paths.queue,
    {
      schema: {
        operationId: 'get_queue',
        summary: 'Get a queue, with the groups that serve it',
        tags,
        params: QueueParams,
        response: { 200: QueueSchema, ...commonProblems },
      },
    },
    async (request) => {
      const { organization_name, project_name, queue_name } = request.params
      const scope = tenants.scope(callerOf(request), organization_name, project_name)
      const queue = queues.get(scope, queue_name)
      return presentQueue(queue, usersOf(context, scope, queue_name), settings, context)
    },
  )

  app.patch(
    paths.queue,
    {
      schema: {
        operationId: 'update_queue',
        summary: 'Update a queue (RFC 7396)',
        tags,
        consumes: [mergePatchMediaType, 'application/json'],
        params: QueueParams,
        body: PatchQueueSchema,
        response: { 200: QueueSchema, ...bodyProblems },
      },
    },
    async (request) => {
      const { organization_name, project_name, queue_name } = request.params
      const scope = tenants.scope(callerOf(request), organization_name, project_name)
      const { display_name: displayName, description } = request.body
      const queue = await queues.update(scope, queue_name, {
        ...(displayName === undefined ? {} : { displayName: displayName ?? queue_name }),
        ...(description === undefined ? {} : { description: description ?? '' }),
      })
      return presentQueue(queue, usersOf(context, scope, queue_name), settings, context)
    },
  )

  app.delete(
    paths.queue,
    {
      schema: {
        operationId: 'delete_queue',
        summary: 'Delete a queue and its jobs; not while a container group serves it',
        tags,
        params: QueueParams,
        response: { 202: accepted, ...commonProblems, 409: ProblemSchema },
      },
    },
    async (request, reply) => {
      const { organization_name, project_name, queue_name } = request.params
      const scope = tenants.scope(callerOf(request), organization_name, project_name)
      await queues.delete(scope, queue_name, () => namesOfUsers(context, scope, queue_name))
      return reply.code(202).send(undefined)
    },
  )
}
