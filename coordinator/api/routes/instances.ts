/** The instances of a container group over HTTP. */
import type { FastifyRequest } from 'fastify'
import type { GroupRecord, InstanceView } from '../../groups/index.ts'
import { InstanceNotFoundError } from '../errors.ts'
import { callerOf } from '../guards.ts'
import { mergePatchMediaType } from '../json-body.ts'
import { presentInstance } from '../present.ts'
import { ProblemSchema } from '../problems.ts'
import {
  InstanceCollectionSchema,
  InstancePatchSchema,
  InstanceSchema,
} from '../schemas/group-response.ts'
import {
  type ApiInstance,
  accepted,
  bodyProblems,
  commonProblems,
  GroupParams,
  InstanceParams,
  paths,
  type RouteContext,
} from './context.ts'

const tags = ['container_groups']

type Named = Readonly<{
  organization_name: string
  project_name: string
  container_group_name: string
}>

export function instanceRoutes(app: ApiInstance, { groups, tenants, view }: RouteContext): void {
  const groupOf = (request: FastifyRequest, params: Named): GroupRecord => {
    const { organization_name, project_name, container_group_name } = params
    const scope = tenants.scope(callerOf(request), organization_name, project_name)
    return groups.get(scope, container_group_name)
  }
  const instanceOf = (group: GroupRecord, id: string): InstanceView => {
    const found = view.instances(group.id).find((instance) => instance.id === id.toLowerCase())
    if (!found) throw new InstanceNotFoundError(id, group.name)
    return found
  }

  app.get(
    `${paths.group}/instances`,
    {
      schema: {
        operationId: 'list_container_group_instances',
        summary: 'List instances, by slot',
        tags,
        params: GroupParams,
        response: { 200: InstanceCollectionSchema, ...commonProblems },
      },
    },
    async (request) => {
      const instances = [...view.instances(groupOf(request, request.params).id)]
      instances.sort((a, b) => a.slot - b.slot || b.term - a.term || b.epoch - a.epoch)
      return { instances: instances.map(presentInstance) }
    },
  )

  app.get(
    `${paths.group}/instances/:container_group_instance_id`,
    {
      schema: {
        operationId: 'get_container_group_instance',
        summary: 'Get an instance',
        description: 'Answers 202, as the contract has it.',
        tags,
        params: InstanceParams,
        response: { 202: InstanceSchema, ...commonProblems },
      },
    },
    async (request, reply) => {
      const { container_group_instance_id: id } = request.params
      const instance = instanceOf(groupOf(request, request.params), id)
      return reply.code(202).send(presentInstance(instance))
    },
  )

  app.patch(
    `${paths.group}/instances/:container_group_instance_id`,
    {
      schema: {
        operationId: 'update_container_group_instance',
        summary: 'Set what it would cost to lose an instance (RFC 7396)',
        description: 'When its group is scaled in, instances with the lowest cost go first.',
        tags,
        consumes: [mergePatchMediaType, 'application/json'],
        params: InstanceParams,
        body: InstancePatchSchema,
        response: { 200: InstanceSchema, ...bodyProblems, 409: ProblemSchema },
      },
    },
    async (request) => {
      const { container_group_instance_id: id } = request.params
      const group = groupOf(request, request.params)
      const instance = instanceOf(group, id)
      const { deletion_cost: cost } = request.body
      if (cost === undefined) return presentInstance(instance)
      await view.setDeletionCost(instance.id, cost ?? 0)
      return presentInstance({ ...instance, deletionCost: cost ?? 0 })
    },
  )

  for (const action of ['reallocate', 'recreate', 'restart'] as const) {
    app.post(
      `${paths.group}/instances/:container_group_instance_id/${action}`,
      {
        schema: {
          operationId: `${action}_container_group_instance`,
          summary: `${action} an instance`,
          tags,
          params: InstanceParams,
          response: { 202: accepted, ...commonProblems, 409: ProblemSchema },
        },
      },
      async (request, reply) => {
        const { container_group_instance_id: id } = request.params
        await view[action](instanceOf(groupOf(request, request.params), id).id)
        return reply.code(202).send(undefined)
      },
    )
  }
}
