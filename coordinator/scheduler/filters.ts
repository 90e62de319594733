/**
 * What must hold for a node to get a slot. One list, in the order in which it is tried, for the
 * choice and for its explanation: a filter that only one of them knew would make "why does it not
 * run" lie (nomad, `nomad/structs/alloc.go`, AllocMetric).
 */
import type { Capacity } from '../../protocol/control/index.ts'
import type { PeerId } from '../../protocol/ids.ts'
import type { GroupTarget, NodeView } from '../slots/index.ts'
import type { NodeUsage } from './usage.ts'

/** All that a filter looks at. */
export type Fit = Readonly<{
  view: NodeView
  /** Of `view`; a node that has told none is filtered before this is read. */
  capacity: Capacity
  target: GroupTarget
  used: Readonly<NodeUsage>
  /** One-time keys that this plan has given away already. */
  keysPlanned: number
}>

type Filter = Readonly<{
  reason: string
  /** Whether another group's end, or a smaller wish, would let the node pass. */
  isRoom?: boolean
  /** What a tenant or operator can do about it. */
  help: string
  removes: (fit: Fit) => boolean
}>

const noCapacity: Capacity = {
  ...{ milliCpus: 0, memoryBytes: 0, storageBytes: 0, gpus: [], region: 'none', versions: {} },
  ...{ allocationsMax: 0, envAllowed: false },
}

const list = [
  {
    reason: 'away',
    help: 'nodes are offline: their slots come back with them, or add nodes',
    removes: ({ view }) => !view.connected || view.departed,
  },
  {
    reason: 'banned',
    help: 'the operator can lift a ban',
    removes: ({ view }) => view.banned,
  },
  {
    reason: 'rests after failures',
    help: 'these nodes failed too often lately, and are tried again in a while',
    removes: ({ view }) => view.rests === true,
  },
  {
    reason: 'no capacity told',
    help: 'these nodes have just come; their next beat tells',
    removes: ({ view }) => view.capacity === undefined,
  },
  {
    reason: 'runs this group already',
    help: 'two replicas of a group never share a node: add nodes, or want fewer replicas',
    removes: ({ used, target }) => used.groups.has(target.group),
  },
  {
    reason: 'no keys',
    help: 'these nodes have offered no one-time key; their next beat brings some',
    removes: ({ view, keysPlanned }) => view.keys - keysPlanned <= 0,
  },
  {
    reason: 'env not allowed',
    help: 'set no environment variables, or have the chef allow them (engine.allowEnv)',
    removes: ({ target, capacity }) => target.needsEnv && !capacity.envAllowed,
  },
  {
    reason: 'country',
    help: 'allow more countries in country_codes',
    removes: ({ target, view }) =>
      target.countries !== undefined &&
      (view.country === undefined || !target.countries.has(view.country)),
  },
  {
    reason: 'probation',
    help: 'wait until nodes have proved themselves, or set potluck.sensitive to false',
    removes: ({ target, view }) => target.sensitive === true && view.probation === true,
  },
  {
    reason: 'chef takes no such jobs',
    help: 'these chefs take GPU jobs only, or none',
    removes: ({ target, capacity: { accepts } }) =>
      accepts !== undefined && !(target.gpuFits ? accepts.gpuJobs : accepts.cpuJobs),
  },
  {
    reason: 'price',
    help: 'a higher priority pays more',
    removes: ({ target: { microsPerHour }, capacity: { accepts } }) =>
      accepts !== undefined &&
      microsPerHour !== undefined &&
      microsPerHour < accepts.minMicrosPerHour,
  },
  {
    reason: 'allocations full',
    isRoom: true,
    help: 'these nodes run all that their chefs allow: add nodes, or raise the priority',
    removes: ({ used, capacity }) => used.allocations >= capacity.allocationsMax,
  },
  {
    reason: 'GPU',
    help: 'accept more GPU classes',
    removes: ({ target: { gpuFits }, capacity }) =>
      gpuFits !== undefined && !capacity.gpus.some(gpuFits),
  },
  {
    reason: 'GPU in use',
    isRoom: true,
    help: 'accept more GPU classes, or raise the priority',
    removes: ({ target, capacity, used }) =>
      target.gpuFits !== undefined &&
      capacity.gpus.some(target.gpuFits) &&
      gpusFor(capacity, used, target) === undefined,
  },
  {
    reason: 'CPU',
    isRoom: true,
    help: 'ask for fewer cores',
    removes: ({ used, target, capacity }) => used.milliCpus + target.milliCpus > capacity.milliCpus,
  },
  {
    reason: 'memory',
    isRoom: true,
    help: 'ask for less memory',
    removes: ({ used, target, capacity }) =>
      used.memoryBytes + target.memoryBytes > capacity.memoryBytes,
  },
  {
    reason: 'shared memory',
    isRoom: true,
    help: 'ask for a smaller shm_size',
    // It is charged to the container's memory, so it takes nothing beside that.
    removes: ({ used, target, capacity }) =>
      used.memoryBytes + target.shmBytes > capacity.memoryBytes,
  },
  {
    reason: 'storage',
    isRoom: true,
    help: 'ask for a smaller storage_amount',
    removes: ({ used, target, capacity }) =>
      used.storageBytes + target.storageBytes > capacity.storageBytes,
  },
  {
    reason: 'link not measured',
    help: 'a cache measures new nodes within minutes; or set no min_upload_mbps, min_download_mbps',
    removes: ({ target: { minUpBitsPerS = 0, minDownBitsPerS = 0 }, view }) =>
      view.link === undefined && minUpBitsPerS + minDownBitsPerS > 0,
  },
  {
    reason: 'upload speed',
    help: 'lower min_upload_mbps',
    removes: ({ target: { minUpBitsPerS = 0 }, view: { link } }) =>
      link !== undefined && link.upBitsPerS < minUpBitsPerS,
  },
  {
    reason: 'download speed',
    help: 'lower min_download_mbps',
    removes: ({ target: { minDownBitsPerS = 0 }, view: { link } }) =>
      link !== undefined && link.downBitsPerS < minDownBitsPerS,
  },
  {
    reason: 'kept for another group',
    help: 'a group of higher priority, or one that waits longer, gets these first',
    removes: ({ used: { claim }, target }) =>
      claim !== undefined && claim.group !== target.group && claim.rank >= (target.rank ?? 0),
  },
] as const satisfies readonly Filter[]

/** `failed here before` removes nothing for good: such a node is tried when there is no other. */
export type FilterReason = (typeof list)[number]['reason'] | 'failed here before'

const filters: readonly (Filter & Readonly<{ reason: FilterReason }>)[] = list

/** In the order in which they are tried; a node is counted under its first. */
export const filterReasons: readonly FilterReason[] = [
  ...filters.map(({ reason }) => reason),
  'failed here before',
]

export const filterHelp: ReadonlyMap<FilterReason, string> = new Map([
  ...filters.map(({ reason, help }) => [reason, help] as const),
  ['failed here before', 'something of this group failed on these nodes not long ago'],
])

/** The first filter that removes a node. */
export function firstProblem(fit: Omit<Fit, 'capacity'>): FilterReason | undefined {
  const whole: Fit = { ...fit, capacity: fit.view.capacity ?? noCapacity }
  for (const { reason, removes } of filters) if (removes(whole)) return reason
  return undefined
}

/** Every filter that removes a node. */
export function allProblems(fit: Omit<Fit, 'capacity'>): readonly FilterReason[] {
  const whole: Fit = { ...fit, capacity: fit.view.capacity ?? noCapacity }
  return filters.filter(({ removes }) => removes(whole)).map(({ reason }) => reason)
}

const roomReasons: ReadonlySet<FilterReason> = new Set(
  filters.filter(({ isRoom }) => isRoom).map(({ reason }) => reason),
)

/** Whether only room is missing, which somebody else's end would give. */
export function lacksOnlyRoom(problems: readonly FilterReason[]): boolean {
  return problems.every((reason) => roomReasons.has(reason))
}

/** The smallest free GPU that fits, so that big ones stay for who needs them; [] for none wanted. */
export function gpusFor(
  { gpus }: Capacity,
  used: Readonly<NodeUsage>,
  { gpuFits }: GroupTarget,
): readonly string[] | undefined {
  if (!gpuFits) return []
  const free = gpus
    .filter((gpu) => gpuFits(gpu) && !used.gpuUuids.has(gpu.uuid))
    .sort((a, b) => a.vramBytes - b.vramBytes || (a.uuid < b.uuid ? -1 : 1))
  return free[0] ? [free[0].uuid] : undefined
}

/** Whose keys a plan has used. */
export type KeysPlanned = ReadonlyMap<PeerId, number>
