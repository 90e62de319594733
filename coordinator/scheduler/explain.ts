/**
 * Why a group's next slot goes where it goes, or nowhere: what each filter removed, the best nodes
 * with the parts of their scores, and what would help. It walks all nodes, so it is made when
 * somebody asks, never by a plan.
 */
import type { PeerId } from '../../protocol/ids.ts'
import type { GroupTarget } from '../slots/index.ts'
import type { ChooseContext } from './choose-node.ts'
import { allProblems, type FilterReason, filterHelp, filterReasons } from './filters.ts'
import { type ScoreParts, scorePartsOf, totalOf } from './scores.ts'

export type RankedNode = Readonly<{ node: PeerId; score: number; parts: ScoreParts }>

export type Explanation = Readonly<{
  considered: number
  /** Nodes by the first filter that removed each; only filters that removed any. */
  removed: ReadonlyMap<FilterReason, number>
  /** The best nodes that pass, best first. */
  best: readonly RankedNode[]
  fitting: number
  /** Filters that alone keep nodes out, those that keep out most first. */
  help: readonly Readonly<{ reason: FilterReason; nodes: number; text: string }>[]
}>

const bestShown = 5

export function explainPlacement(target: GroupTarget, context: ChooseContext): Explanation {
  const { fleet, usage, excluded, spread, keysPlanned } = context
  const removed = new Map<FilterReason, number>()
  const alone = new Map<FilterReason, number>()
  const count = (all: Map<FilterReason, number>, reason: FilterReason): void => {
    all.set(reason, (all.get(reason) ?? 0) + 1)
  }
  const passed: RankedNode[] = []
  for (const { node, view, domains } of fleet.entries()) {
    const used = usage.of(node)
    const problems: readonly FilterReason[] = [
      ...allProblems({ view, target, used, keysPlanned: keysPlanned.get(node) ?? 0 }),
      ...(excluded.has(node) ? (['failed here before'] as const) : []),
    ]
    const [first] = problems
    if (first !== undefined) {
      count(removed, first)
      if (problems.length === 1) count(alone, first)
      continue
    }
    const neighbours = spread.neighbours(domains)
    const parts = scorePartsOf({ view, target, used, neighbours })
    passed.push({ node, score: totalOf(parts), parts })
  }
  passed.sort((a, b) => b.score - a.score || (a.node < b.node ? -1 : 1))
  const help = [...alone]
    .sort(([, a], [, b]) => b - a)
    .map(([reason, nodes]) => ({ reason, nodes, text: filterHelp.get(reason) ?? '' }))
  return {
    ...{ considered: fleet.size, removed, help },
    ...{ best: passed.slice(0, bestShown), fitting: passed.length },
  }
}

/** `no node fits now (3 known: 2 away, 1 memory)`; for people. */
export function describeExplanation({ removed, considered }: Explanation): string {
  const parts = filterReasons.flatMap((reason) => {
    const count = removed.get(reason)
    return count === undefined ? [] : [`${count} ${reason}`]
  })
  return `no node fits now (${considered} known${parts.length > 0 ? `: ${parts.join(', ')}` : ''})`
}
