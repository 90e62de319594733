/**
 * How good a node that passed the filters is for one more slot of a group, in parts, so that a
 * decision can be explained. Each part's weight says what it is worth against the others: another
 * fault domain (10) is worth more than the image at hand (5), that more than a machine that stays
 * (3), that more than an empty one (2), and that more than a fast line (1).
 */
import type { GroupTarget, NodeView } from '../slots/index.ts'
import type { NodeUsage } from './usage.ts'

export type ScoreParts = Readonly<{
  /** −10 for each slot of the group in the fullest of the node's fault domains. */
  spread: number
  /** 5: the node's disk holds the bundle; 2: part of it. */
  image: number
  /** Up to 3: how reliably it stayed; 1.5 for a node that nobody knows yet. */
  reliability: number
  /** Up to 2: how empty it is. */
  room: number
  /** −2: it has a GPU that this group does not want. */
  gpu: number
  /** Up to 1: how fast its line is. */
  link: number
}>

export type ScoreContext = Readonly<{
  view: NodeView
  target: GroupTarget
  used: Readonly<NodeUsage>
  neighbours: number
}>

const unknownReliability = 0.5

export function scorePartsOf(context: ScoreContext): ScoreParts {
  const { view, target, used, neighbours } = context
  const { capacity, reliability = unknownReliability } = view
  const free = (total: number, taken: number): number => (total === 0 ? 0 : (total - taken) / total)
  return {
    spread: neighbours === 0 ? 0 : -10 * neighbours,
    image: imageOf(view, target),
    reliability: 3 * reliability,
    room: capacity
      ? free(capacity.milliCpus, used.milliCpus) +
        free(capacity.memoryBytes, used.memoryBytes) -
        used.allocations / 100
      : 0,
    gpu: !target.gpuFits && capacity && capacity.gpus.length > 0 ? -2 : 0,
    link: speedOf(view),
  }
}

export function totalOf({ spread, image, reliability, room, gpu, link }: ScoreParts): number {
  return spread + image + reliability + room + gpu + link
}

function imageOf({ bundles, partial }: NodeView, { bundle }: GroupTarget): number {
  if (bundle === undefined) return 0
  if (bundles.has(bundle)) return 5
  return partial?.has(bundle) ? 2 : 0
}

/**
 * From 0 (not measured, or 1 Mbit/s) to 1 (1 Gbit/s both ways), a third for each tenfold: ten times
 * as fast helps a slow home as much as a fast one.
 */
function speedOf({ link }: NodeView): number {
  const share = (bitsPerS: number): number =>
    Math.min(1, Math.max(0, Math.log10(Math.max(1, bitsPerS) / 1e6) / 3))
  return link ? (share(link.upBitsPerS) + share(link.downBitsPerS)) / 2 : 0
}
