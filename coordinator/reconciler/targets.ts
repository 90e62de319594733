/** Groups as the slots need them. */
import type { BundleId, GroupId } from '../../protocol/ids.ts'
import { type GroupRecord, gpuClassOf, slotsWanted } from '../groups/index.ts'
import type { GroupTarget } from '../slots/index.ts'

/** What each group, tombstones too, wants of its slots. */
export function targetsOf(
  groups: readonly GroupRecord[],
  bundleOf: (group: GroupRecord) => BundleId | undefined,
  isHeld: (group: GroupId) => boolean,
): ReadonlyMap<GroupId, GroupTarget> {
  return new Map(
    groups.map((group) => [group.id, targetOf(group, bundleOf(group), isHeld(group.id))]),
  )
}

function targetOf(group: GroupRecord, bundle: BundleId | undefined, held: boolean): GroupTarget {
  const { container, extension } = group
  const { milliCpus, memoryBytes, storageBytes, shmBytes } = container
  const { minUploadMbps = 0, minDownloadMbps = 0 } = extension
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
    restart: group.restartPolicy,
    lostAfterMs: extension.lostAfterMs,
    orphanAfterMs: extension.orphanAfterMs,
  }
}
