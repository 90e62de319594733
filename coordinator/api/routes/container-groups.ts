/** Container groups over HTTP: every answer to a write is sent after the write is on disk. */
import { errorCode } from '../../../protocol/errors.ts'
import {
  type GroupInput,
  type GroupRecord,
  type ProjectScope,
  queueNameOf,
} from '../../groups/index.ts'
import { RequestInvalidError } from '../errors.ts'
import { callerOf } from '../guards.ts'
import { mergePatchMediaType } from '../json-body.ts'
import { presentGroup } from '../present.ts'
import { ProblemSchema } from '../problems.ts'
import { readCreate, readPatch } from '../read-group.ts'
import { createGroupSchema, patchGroupSchema } from '../schemas/group-request.ts'
import { GroupCollectionSchema, GroupSchema } from '../schemas/group-response.ts'
import {
  type ApiInstance,
  accepted,
  actionProblems,
  bodyProblems,
  commonProblems,
  GroupParams,
  ProjectParams,
  paths,
  type RouteContext,
} from './context.ts'

const tags = ['container_groups']

export function containerGroupRoutes(app: ApiInstance, context: RouteContext): void {
  addCollection(app, context)
  addGroup(app, context)
  addStartAndStop(app, context)
}

function addCollection(app: ApiInstance, context: RouteContext): void {
  const { groups, tenants, settings, addresses } = context

  app.get(
    paths.groups,
    {
      schema: {
        operationId: 'list_container_groups',
        summary: 'List container groups, by name',
        tags,
        params: ProjectParams,
        response: { 200: GroupCollectionSchema, ...commonProblems },
      },
    },
    async (request) => {
      const { organization_name, project_name } = request.params
      const scope = tenants.scope(callerOf(request), organization_name, project_name)
      return { items: groups.list(scope).map((group) => presentGroup(group, settings, context)) }
    },
  )

  app.post(
    paths.groups,
    {
      schema: {
        operationId: 'create_container_group',
        summary: 'Create a container group',
        description:
          'Names make a repeated request harmless: the second answers 409, and GET shows what the first made.',
        tags,
        params: ProjectParams,
        body: createGroupSchema(settings.limits),
        response: { 201: GroupSchema, ...bodyProblems, 409: ProblemSchema },
      },
    },
    async (request, reply) => {
      const { organization_name, project_name } = request.params
      const scope = tenants.scope(callerOf(request), organization_name, project_name)
      const input = readCreate(request.body, { limits: settings.limits, addresses })
      const group = await createInProject(scope, input, context)
      const path = `/organizations/${scope.organization}/projects/${scope.project}/containers/${group.name}`
      return reply
        .code(201)
        .header('location', path)
        .send(presentGroup(group, settings, context))
    },
  )
}

/** A group that serves a queue is made while that queue cannot go. */
async function createInProject(
  scope: ProjectScope,
  input: GroupInput,
  { groups, queues }: RouteContext,
): Promise<GroupRecord> {
  const queue = queueNameOf(input)
  if (queue === undefined) return groups.create(scope, input)
  try {
    return await queues.hold(scope, queue, () => groups.create(scope, input))
  } catch (error) {
    if (errorCode(error) !== 'QUEUE_NOT_FOUND') throw error
    const problem = `must be the name of a queue of this project, as GET …/queues lists them; got ${JSON.stringify(queue)}`
    throw new RequestInvalidError({ 'queue_connection.queue_name': [problem] })
  }
}

function addGroup(app: ApiInstance, context: RouteContext): void {
  const { groups, tenants, settings, addresses } = context

  app.get(
    paths.group,
    {
      schema: {
        operationId: 'get_container_group',
        summary: 'Get a container group',
        tags,
        params: GroupParams,
        response: { 200: GroupSchema, ...commonProblems },
      },
    },
    async (request) => {
      const { organization_name, project_name, container_group_name } = request.params
      const scope = tenants.scope(callerOf(request), organization_name, project_name)
      return presentGroup(groups.get(scope, container_group_name), settings, context)
    },
  )

  app.patch(
    paths.group,
    {
      schema: {
        operationId: 'update_container_group',
        summary: 'Update a container group (RFC 7396)',
        description:
          'Image, command, environment, resources, probes and networking make a new version, which replaces every instance; the rest does not.',
        tags,
        consumes: [mergePatchMediaType, 'application/json'],
        produces: [mergePatchMediaType],
        params: GroupParams,
        body: patchGroupSchema(settings.limits),
        response: { 200: GroupSchema, ...bodyProblems },
      },
    },
    async (request, reply) => {
      const { organization_name, project_name, container_group_name } = request.params
      const scope = tenants.scope(callerOf(request), organization_name, project_name)
      const updated = await groups.update(scope, container_group_name, (group) => {
        const opened = { env: groups.openEnv(group), logging: groups.openLogging(group) }
        return readPatch(request.body, group, opened, { limits: settings.limits, addresses })
      })
      return reply.type(mergePatchMediaType).send(presentGroup(updated, settings, context))
    },
  )

  app.delete(
    paths.group,
    {
      schema: {
        operationId: 'delete_container_group',
        summary: 'Delete a container group; its instances stop',
        tags,
        params: GroupParams,
        response: { 202: accepted, ...actionProblems },
      },
    },
    async (request, reply) => {
      const { organization_name, project_name, container_group_name } = request.params
      const scope = tenants.scope(callerOf(request), organization_name, project_name)
      await groups.delete(scope, container_group_name)
      return reply.code(202).send(undefined)
    },
  )
}

function addStartAndStop(app: ApiInstance, { groups, tenants }: RouteContext): void {
  for (const action of ['start', 'stop'] as const) {
    app.post(
      `${paths.group}/${action}`,
      {
        schema: {
          operationId: `${action}_container_group`,
          summary: `${action === 'start' ? 'Start' : 'Stop'} a container group; repeating it changes nothing`,
          tags,
          params: GroupParams,
          response: { 202: accepted, ...actionProblems },
        },
      },
      async (request, reply) => {
        const { organization_name, project_name, container_group_name } = request.params
        const scope = tenants.scope(callerOf(request), organization_name, project_name)
        await groups[action](scope, container_group_name)
        return reply.code(202).send(undefined)
      },
    )
  }
}
