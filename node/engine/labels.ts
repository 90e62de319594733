/**
 * Everything Potluck makes in an engine says whose it is. What lacks this node's label is the
 * chef's, or another node's, and is never listed, stopped or removed: the labels are the only
 * memory that outlives both the daemon and its disk.
 */
import Type, { type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import type { Digest, Epoch, InstanceId, PeerId, SlotId, Term } from '../../protocol/ids.ts'
import type { ContainerSpec, ObservedContainer } from './engine.ts'

export const nodeLabel = 'potluck.node'
export const instanceLabel = 'potluck.instance'

const schema = Type.Object({
  'potluck.node': Type.String({ minLength: 1 }),
  'potluck.slot': Type.String({ minLength: 1 }),
  'potluck.term': Type.String({ pattern: '^[1-9][0-9]{0,15}$' }),
  'potluck.epoch': Type.String({ pattern: '^[1-9][0-9]{0,15}$' }),
  'potluck.instance': Type.String({ minLength: 1 }),
  'potluck.image': Type.String({ pattern: '^sha256:[0-9a-f]{64}$' }),
})
const validator = Compile(schema)

export type ContainerLabels = Static<typeof schema>
export type LabelledIdentity = Pick<
  ObservedContainer,
  'slot' | 'term' | 'epoch' | 'instance' | 'image'
>

/** Never an env value: labels are shown by every `docker ps`. */
export function containerLabels(spec: ContainerSpec): ContainerLabels {
  return {
    'potluck.node': spec.node,
    'potluck.slot': spec.slot,
    'potluck.term': String(spec.term),
    'potluck.epoch': String(spec.epoch),
    'potluck.instance': spec.instance,
    'potluck.image': spec.image,
  }
}

/** For networks: enough to find them again and to know that they are ours. */
export function networkLabels(node: PeerId, instance: InstanceId): Record<string, string> {
  return { [nodeLabel]: node, [instanceLabel]: instance }
}

/** Who a container is, or undefined when its labels are not ones that {@link containerLabels} made. */
export function parseContainerLabels(labels: unknown): LabelledIdentity | undefined {
  if (!validator.Check(labels)) return undefined
  return {
    slot: labels['potluck.slot'] as SlotId,
    term: Number(labels['potluck.term']) as Term,
    epoch: Number(labels['potluck.epoch']) as Epoch,
    instance: labels['potluck.instance'] as InstanceId,
    image: labels['potluck.image'] as Digest,
  }
}
