/** The admin API: what `potluck admin` speaks, for who runs a network. */
import type { ApiInstance } from '../routes/context.ts'
import { chefRoutes } from './chefs.ts'
import type { AdminContext } from './context.ts'
import { keyRoutes } from './keys.ts'
import { nodeRoutes } from './nodes.ts'
import { organizationRoutes } from './organizations.ts'
import { projectRoutes } from './projects.ts'
import { userRoutes } from './users.ts'

export type { AdminParts } from './context.ts'

export function adminRoutes(app: ApiInstance, context: AdminContext): void {
  organizationRoutes(app, context)
  projectRoutes(app, context)
  userRoutes(app, context)
  keyRoutes(app, context)
  chefRoutes(app, context)
  nodeRoutes(app, context)
}
