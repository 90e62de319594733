/** The key by which an organization checks that a webhook is ours. */
import { callerOf } from '../guards.ts'
import { WebhookSecretKeySchema } from '../schemas/organization.ts'
import {
  type ApiInstance,
  commonProblems,
  OrganizationParams,
  paths,
  type RouteContext,
} from './context.ts'

export function webhookSecretKeyRoutes(
  app: ApiInstance,
  { tenants, webhookKeys }: RouteContext,
): void {
  const schema = {
    tags: ['webhook_secret_key'],
    params: OrganizationParams,
    response: { 200: WebhookSecretKeySchema, ...commonProblems },
  }
  const path = `${paths.organization}/webhook-secret-key`

  app.get(
    path,
    {
      schema: {
        ...schema,
        operationId: 'get_webhook_secret_key',
        summary: 'Get the key that webhooks are signed by; made when it is first asked for',
      },
    },
    async (request) => {
      const { id } = tenants.organization(callerOf(request), request.params.organization_name)
      return { secret_key: await webhookKeys.get(id) }
    },
  )

  app.post(
    path,
    {
      schema: {
        ...schema,
        operationId: 'update_webhook_secret_key',
        summary: 'Replace the key that webhooks are signed by; the old one ends at once',
      },
    },
    async (request) => {
      const { id } = tenants.organization(callerOf(request), request.params.organization_name)
      return { secret_key: await webhookKeys.rotate(id) }
    },
  )
}
