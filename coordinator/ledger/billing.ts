/** The terms of an instance, drawn up when it is placed: what is asked, and who earns. */
import type { PeerId } from '../../protocol/ids.ts'
import { type GpuClass, gpuClassOf } from '../groups/gpu-classes.ts'
import type { GroupRecord } from '../groups/index.ts'
import type { NodeView } from '../slots/index.ts'
import type { Prices } from './prices.ts'
import type { BillingTerms } from './terms.ts'

export type DrawTerms = (
  group: GroupRecord,
  at: Readonly<{ node: PeerId; gpuUuids: readonly string[] }>,
) => BillingTerms

export function createBilling(
  { chefPercent }: Readonly<{ chefPercent: number }>,
  { prices, nodes }: Readonly<{ prices: Prices; nodes: ReadonlyMap<PeerId, NodeView> }>,
): DrawTerms {
  return (group, { node, gpuUuids }) => {
    const view = nodes.get(node)
    const { milliCpus, memoryBytes, priority } = group.container
    const gpuClasses = gpuUuids.flatMap((uuid): GpuClass[] => {
      const card = view?.capacity?.gpus.find((gpu) => gpu.uuid === uuid)
      const found = card && gpuClassOf(card.name, card.vramBytes)
      return found ? [found] : []
    })
    const [gpuClass] = gpuClasses
    return {
      ...{ organizationId: group.organizationId, project: group.project },
      ...{ group: group.id, groupName: group.name, chefPercent },
      microsPerHour: prices.microsPerHour({ milliCpus, memoryBytes, gpuClasses, priority }),
      ...(gpuClass ? { gpuClass: gpuClass.id } : {}),
      ...(view?.owner ? { owner: view.owner } : {}),
    }
  }
}
