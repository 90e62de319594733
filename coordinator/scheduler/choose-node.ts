/**
 * Which node gets a slot: filters that must hold, then scores among those left. The counts of what
 * each filter removed go with the answer, so that "why does it not run" has one (nomad,
 * `structs/alloc.go`, AllocMetric).
 */
import type { Capacity } from '../../protocol/control/index.ts'
import type { PeerId } from '../../protocol/ids.ts'
import type { GroupTarget, NodeView } from '../slots/index.ts'
import type { NodeUsage, Usage } from './usage.ts'

/** Reasons in the order in which they are tried; a node is counted under its first. */
export const filterReasons = [
  'away',
  'banned',
  'rests after failures',
  'no capacity told',
  'runs this group already',
  'no keys',
  'env not allowed',
  'allocations full',
  'GPU',
  'CPU',
  'memory',
  'storage',
  'link not measured',
  'upload speed',
  'download speed',
  'failed here before',
] as const
export type FilterReason = (typeof filterReasons)[number]

export type Choice = Readonly<{
  node: PeerId | undefined
  gpuUuids: readonly string[]
  /** How many nodes each filter removed; only those that removed any. */
  removed: ReadonlyMap<FilterReason, number>
  considered: number
}>

export type ChooseContext = Readonly<{
  nodes: ReadonlyMap<PeerId, NodeView>
  usage: Usage
  /** Nodes to try last: something of this group failed there not long ago. */
  excluded: ReadonlySet<PeerId>
  /** Slots of this group in each household, to spread them. */
  households: ReadonlyMap<string, number>
  /** One-time keys that this plan has given away already. */
  keysPlanned: ReadonlyMap<PeerId, number>
}>

/** The best node for one more slot of `target`, or none and why. Same input, same answer. */
export function chooseNode(target: GroupTarget, context: ChooseContext): Choice {
  const removed = new Map<FilterReason, number>()
  const remove = (reason: FilterReason): void => {
    removed.set(reason, (removed.get(reason) ?? 0) + 1)
  }
  type Candidate = Readonly<{ view: NodeView; score: number; gpuUuids: readonly string[] }>
  let best: Candidate | undefined
  let bestExcluded: Candidate | undefined
  for (const view of context.nodes.values()) {
    const fit = fitOf(view, target, context)
    if (typeof fit === 'string') {
      remove(fit)
      continue
    }
    const candidate = { view, gpuUuids: fit, score: scoreOf(view, target, context) }
    if (context.excluded.has(view.node)) {
      bestExcluded = better(candidate, bestExcluded)
      remove('failed here before')
    } else {
      best = better(candidate, best)
    }
  }
  // A small network has no other node: better to try again there, with back-off, than never.
  const chosen = best ?? bestExcluded
  return {
    node: chosen?.view.node,
    gpuUuids: chosen?.gpuUuids ?? [],
    removed,
    considered: context.nodes.size,
  }
}

function better<C extends Readonly<{ view: NodeView; score: number }>>(a: C, b: C | undefined): C {
  if (!b) return a
  if (a.score !== b.score) return a.score > b.score ? a : b
  return a.view.node < b.view.node ? a : b
}

/** The GPUs to use, or the first filter that removes this node. */
function fitOf(
  view: NodeView,
  target: GroupTarget,
  { usage, keysPlanned }: ChooseContext,
): readonly string[] | FilterReason {
  if (!view.connected || view.departed) return 'away'
  if (view.banned) return 'banned'
  if (view.rests) return 'rests after failures'
  const { capacity } = view
  if (!capacity) return 'no capacity told'
  const used = usage.of(view.node)
  if (used.groups.has(target.group)) return 'runs this group already'
  if (view.keys - (keysPlanned.get(view.node) ?? 0) <= 0) return 'no keys'
  if (target.needsEnv && !capacity.envAllowed) return 'env not allowed'
  if (used.allocations >= capacity.allocationsMax) return 'allocations full'
  const gpuUuids = gpusFor(capacity, used, target)
  if (!gpuUuids) return 'GPU'
  if (used.milliCpus + target.milliCpus > capacity.milliCpus) return 'CPU'
  if (used.memoryBytes + target.memoryBytes > capacity.memoryBytes) return 'memory'
  if (used.storageBytes + target.storageBytes > capacity.storageBytes) return 'storage'
  return linkProblem(view, target) ?? gpuUuids
}

function linkProblem({ link }: NodeView, target: GroupTarget): FilterReason | undefined {
  const { minUpBitsPerS = 0, minDownBitsPerS = 0 } = target
  if (minUpBitsPerS === 0 && minDownBitsPerS === 0) return undefined
  if (!link) return 'link not measured'
  if (link.upBitsPerS < minUpBitsPerS) return 'upload speed'
  return link.downBitsPerS < minDownBitsPerS ? 'download speed' : undefined
}

/** The smallest free GPU that fits, so that big ones stay for who needs them. */
function gpusFor(
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

/**
 * Spread first (a household's line is one failure), then who has the image, then who has room and
 * does not waste a GPU on a group that wants none, and is well connected.
 */
function scoreOf(view: NodeView, target: GroupTarget, context: ChooseContext): number {
  const { capacity } = view
  if (!capacity) return 0
  const used = context.usage.of(view.node)
  const neighbours = context.households.get(view.household) ?? 0
  const holds = target.bundle !== undefined && view.bundles.has(target.bundle) ? 1 : 0
  const free = (total: number, taken: number): number => (total === 0 ? 0 : (total - taken) / total)
  const room =
    free(capacity.milliCpus, used.milliCpus) + free(capacity.memoryBytes, used.memoryBytes)
  const wastesGpu = !target.gpuFits && capacity.gpus.length > 0 ? 1 : 0
  const others = room - 2 * wastesGpu - used.allocations / 100 + speedOf(view)
  return -10 * neighbours + 5 * holds + others
}

/**
 * From 0 (not measured, or 1 Mbit/s) to 1 (1 Gbit/s both ways), a third for each tenfold: ten times
 * as fast helps a slow home as much as a fast one. It weighs half as much as an empty machine.
 */
function speedOf({ link }: NodeView): number {
  const share = (bitsPerS: number): number =>
    Math.min(1, Math.max(0, Math.log10(Math.max(1, bitsPerS) / 1e6) / 3))
  return link ? (share(link.upBitsPerS) + share(link.downBitsPerS)) / 2 : 0
}

/** `no node fits (3 known: 2 away, 1 memory)`; for people. */
export function describeChoice({ removed, considered }: Choice): string {
  const parts = filterReasons.flatMap((reason) => {
    const count = removed.get(reason)
    return count === undefined ? [] : [`${count} ${reason}`]
  })
  return `no node fits now (${considered} known${parts.length > 0 ? `: ${parts.join(', ')}` : ''})`
}

/** How many of `placed` stand in each household. */
export function householdsOf(
  placed: Iterable<PeerId>,
  nodes: ReadonlyMap<PeerId, NodeView>,
): Map<string, number> {
  const counts = new Map<string, number>()
  for (const node of placed) {
    const household = nodes.get(node)?.household ?? node
    counts.set(household, (counts.get(household) ?? 0) + 1)
  }
  return counts
}
