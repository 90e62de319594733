/** A look at a group as rows of progress: the image on its way to the cache, then each instance. */
import type { DemoNode } from './network.ts'
import type { Row } from './screen.ts'
import type { DemoInstance } from './tenant.ts'
import { bytesText } from './text.ts'
import type { Look } from './watch.ts'

export function progressRows(
  { group, instances }: Look,
  nodes: readonly Pick<DemoNode, 'name' | 'peer'>[],
): Row[] {
  const { image } = group.potluck
  return [
    {
      name: 'cache',
      state: image.state === 'ready' ? 'has it' : image.state,
      doneBytes: image.bytes_done,
      totalBytes: image.bytes_total,
      note: 'from the registry',
    },
    ...instanceRows({ instances }, nodes),
  ]
}

/** Without the cache, when it has the image. */
export function instanceRows(
  { instances }: Pick<Look, 'instances'>,
  nodes: readonly Pick<DemoNode, 'name' | 'peer'>[],
): Row[] {
  return instances.map((instance) => instanceRow(instance, nameOf(instance, nodes)))
}

export function nameOf(
  { potluck: { node } }: DemoInstance,
  nodes: readonly Pick<DemoNode, 'name' | 'peer'>[],
): string {
  return nodes.find(({ peer }) => peer === node)?.name ?? node
}

function instanceRow({ state, potluck }: DemoInstance, name: string): Row {
  const { slot, epoch, bytes_from_caches: caches, bytes_from_peers: peers, fault } = potluck
  const sources =
    caches + peers > 0 ? `, cache ${bytesText(caches)}, peers ${bytesText(peers)}` : ''
  return {
    name,
    state,
    doneBytes: potluck.bytes_done,
    totalBytes: potluck.bytes_total,
    note: `slot ${slot} epoch ${epoch}${sources}${fault ? `, ${fault.code}` : ''}`,
  }
}
