/** What a container finds in its environment beside the tenant's: who it is (the contract's names). */

import { machineIdOf } from '../../protocol/identity/index.ts'
import type { InstanceId, PeerId } from '../../protocol/ids.ts'
import type { AllocationSecrets } from '../../protocol/orders/index.ts'

/** Potluck's own variables; nothing in them is secret. */
export function identityEnv(
  secrets: AllocationSecrets,
  { node, instance }: { readonly node: PeerId; readonly instance: InstanceId },
): Record<string, string> {
  return {
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
