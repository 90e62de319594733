/** What a container finds in its environment: the tenant's, then who it is (contract/README.md). */

import { machineIdOf } from '../../protocol/identity/index.ts'
import type { InstanceId, PeerId } from '../../protocol/ids.ts'
import type { AllocationSecrets } from '../../protocol/orders/index.ts'

/** The tenant's environment with Potluck's own names over it. */
export function containerEnv(
  secrets: AllocationSecrets,
  { node, instance }: { readonly node: PeerId; readonly instance: InstanceId },
): Record<string, string> {
  return {
    ...secrets.env,
    SALAD_ORGANIZATION_NAME: secrets.organization,
    SALAD_ORGANIZATION_ID: secrets.organizationId,
    SALAD_PROJECT_NAME: secrets.project,
    SALAD_PROJECT_ID: secrets.projectId,
    SALAD_CONTAINER_GROUP_NAME: secrets.group,
    SALAD_CONTAINER_GROUP_ID: secrets.groupId,
    SALAD_INSTANCE_ID: instance,
    SALAD_MACHINE_ID: machineIdOf(node),
  }
}
