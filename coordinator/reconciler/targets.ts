/** Groups as the slots need them. Made once for each record of a group, because plans ask often. */
import type { BundleId, GroupId } from '../../protocol/ids.ts'
import { type GroupRecord, type Groups, gpuClassOf, slotsWanted } from '../groups/index.ts'
import { rankOf } from '../scheduler/index.ts'
import type { GroupTarget } from '../slots/index.ts'

export type Targets = Pick<ReadonlyMap<GroupId, GroupTarget>, 'get' | 'has' | 'keys'>

/** What each group, tombstones too, wants of its slots. */
export function createTargets({
  groups,
  bundleOf,
  isHeld,
}: Readonly<{
  groups: Pick<Groups, 'all' | 'byId'>
  bundleOf: (group: GroupRecord) => BundleId | undefined
  /** Whether a security review keeps the group from new instances. */
  isHeld: (group: GroupId) => boolean
}>): Targets {
  const made = new WeakMap<GroupRecord, GroupTarget>()
  return {
    get(id) {
      const group = groups.byId(id)
      if (!group) return undefined
      const bundle = bundleOf(group)
      const known = made.get(group)
      const held = isHeld(id)
      if (known && known.bundle === bundle && known.held === (held || undefined)) return known
      const target = targetOf(group, bundle, held)
      made.set(group, target)
      return target
    },
    has: (id) => groups.byId(id) !== undefined,
    keys: () =>
      groups
        .all()
        .map(({ id }) => id)
        .values(),
  }
}

function targetOf(group: GroupRecord, bundle: BundleId | undefined, held: boolean): GroupTarget {
  const { container, extension, countryCodes } = group
  const { milliCpus, memoryBytes, storageBytes, shmBytes } = container
  const { minUploadMbps = 0, minDownloadMbps = 0, sensitive } = extension
  const classes = new Set(container.gpuClasses.map((id) => id.toLowerCase()))
  const gpuFits: GroupTarget['gpuFits'] = ({ name, vramBytes }) => {
    const found = gpuClassOf(name, vramBytes)
    return found !== undefined && classes.has(found.id)
  }
  return {
    group: group.id,
    version: group.version,
    replicas: slotsWanted(group),
    deleted: group.deletedMs !== undefined,
    ...(held ? { held } : {}),
    ...(bundle ? { bundle } : {}),
    ...{ milliCpus, memoryBytes, storageBytes, shmBytes },
    ...(classes.size > 0 ? { gpuFits } : {}),
    needsEnv: container.envSealed !== undefined,
    ...(minUploadMbps > 0 ? { minUpBitsPerS: minUploadMbps * 1e6 } : {}),
    ...(minDownloadMbps > 0 ? { minDownBitsPerS: minDownloadMbps * 1e6 } : {}),
    rank: rankOf(container.priority, classes.size > 0),
    ...(countryCodes.length > 0 ? { countries: new Set(countryCodes) } : {}),
    ...(sensitive ? { sensitive } : {}),
    restart: group.restartPolicy,
    lostAfterMs: extension.lostAfterMs,
    orphanAfterMs: extension.orphanAfterMs,
    ...(extension.strict ? { strict: true } : {}),
  }
}
