/** Why a group's replicas are where they are, or nowhere. */
import { GroupNotFoundError } from '../../groups/errors.ts'
import { type PlacementScore, slotsWanted } from '../../groups/index.ts'
import { callerOf } from '../guards.ts'
import { type ExplanationJson, ExplanationSchema } from '../schemas/explain.ts'
import {
  type ApiInstance,
  commonProblems,
  GroupParams,
  paths,
  type RouteContext,
} from './context.ts'

export function explainRoutes(app: ApiInstance, { groups, tenants, view }: RouteContext): void {
  app.get(
    `${paths.group}/explain`,
    {
      schema: {
        operationId: 'explain_container_group',
        summary: 'Why replicas are where they are, or wait',
        description: "Potluck's own: SaladCloud has no such path.",
        tags: ['container_groups'],
        params: GroupParams,
        response: { 200: ExplanationSchema, ...commonProblems },
      },
    },
    async (request): Promise<ExplanationJson> => {
      const { organization_name, project_name, container_group_name: name } = request.params
      const scope = tenants.scope(callerOf(request), organization_name, project_name)
      const group = groups.get(scope, name)
      const found = view.explain(group.id)
      if (!found) throw new GroupNotFoundError(name, project_name)
      const { waitedMs } = found
      return {
        summary: found.summary,
        replicas: slotsWanted(group),
        placed: found.placed.map((item) => ({ slot: item.slot, ...scoreJson(item) })),
        waiting_seconds: waitedMs === undefined ? null : Math.floor(waitedMs / 1_000),
        nodes_considered: found.nodesConsidered,
        nodes_fitting: found.nodesFitting,
        removed: found.removed.map(({ reason, nodes }) => ({ reason, nodes })),
        help: found.help.map(({ reason, nodes, text }) => ({ reason, nodes, text })),
        best: found.best.map(scoreJson),
      }
    },
  )
}

function scoreJson({ machineId, score, parts }: PlacementScore) {
  return { machine_id: machineId, score, parts: { ...parts } }
}
