/** The admin API: what `potluck admin` speaks, for who runs a network. */

import { adminKeyOf } from '../guards.ts'
import { banRoutes } from '../routes/admin/bans.ts'
import { securityRoutes } from '../routes/admin/security.ts'
import type { ApiInstance } from '../routes/context.ts'
import { chefRoutes } from './chefs.ts'
import type { AdminAct, AdminContext } from './context.ts'
import { keyRoutes } from './keys.ts'
import { nodeRoutes } from './nodes.ts'
import { organizationRoutes } from './organizations.ts'
import { projectRoutes } from './projects.ts'
import { userRoutes } from './users.ts'

export type { AdminAct, AdminParts } from './context.ts'

export function adminRoutes(app: ApiInstance, context: AdminContext): void {
  app.addHook('onResponse', async (request, reply) => {
    const keyId = adminKeyOf(request)
    if (keyId === undefined || request.method === 'GET' || request.method === 'HEAD') return
    const { operationId: operation = '' } = (request.routeOptions.schema ?? {}) as Readonly<{
      operationId?: string
    }>
    const at = request.params as AdminAct['at']
    context.onAct({ keyId, operation, at, status: reply.statusCode, requestId: request.id })
  })
  organizationRoutes(app, context)
  projectRoutes(app, context)
  userRoutes(app, context)
  keyRoutes(app, context)
  chefRoutes(app, context)
  nodeRoutes(app, context)
  banRoutes(app, context)
  securityRoutes(app, context)
}
