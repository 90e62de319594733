/** What connected nodes lend and nobody uses now: what availability is told from. Pure. */
import type { Capacity } from '../../protocol/control/index.ts'
import type { PeerId } from '../../protocol/ids.ts'
import { type FreeNode, gpuClassOf } from '../groups/index.ts'
import { usageOf } from '../scheduler/index.ts'
import type { NodeView } from '../slots/index.ts'
import type { SlotBook } from './slot-book.ts'

export function freeNodes(
  book: Pick<SlotBook, 'on'>,
  nodes: ReadonlyMap<PeerId, NodeView>,
): readonly FreeNode[] {
  const shown: FreeNode[] = []
  for (const view of nodes.values()) {
    const { capacity, country } = view
    if (!view.connected || view.departed || view.banned || !capacity) continue
    const used = usageOf(view, book.on(view.node))
    const { milliCpus, memoryBytes, storageBytes, gpus } = capacity
    shown.push({
      country,
      isFree: used.allocations < capacity.allocationsMax,
      milliCpus: milliCpus - used.milliCpus,
      memoryBytes: memoryBytes - used.memoryBytes,
      storageBytes: storageBytes - used.storageBytes,
      gpuClasses: classesOf(gpus.filter(({ uuid }) => !used.gpuUuids.has(uuid))),
      all: { milliCpus, memoryBytes, storageBytes, gpuClasses: classesOf(gpus) },
    })
  }
  return shown
}

function classesOf(gpus: Capacity['gpus']): readonly string[] {
  return gpus.flatMap(({ name, vramBytes }) => gpuClassOf(name, vramBytes)?.id ?? [])
}
