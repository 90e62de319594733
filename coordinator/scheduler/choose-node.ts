/**
 * Which node gets a slot: the best by score of some dozens that pass the filters. In a small network
 * that is all of them; in a big one the best of 16 is nearly as good as the best of ten thousand,
 * and hundreds of times cheaper (Nomad and Kubernetes do the same).
 */
import type { PeerId } from '../../protocol/ids.ts'
import type { GroupTarget } from '../slots/index.ts'
import type { Spread } from './fault-domains.ts'
import { firstProblem, gpusFor, type KeysPlanned } from './filters.ts'
import type { Fleet, FleetEntry } from './fleet.ts'
import { scorePartsOf, totalOf } from './scores.ts'
import type { Usage } from './usage.ts'

export type Choice = Readonly<{ node: PeerId | undefined; gpuUuids: readonly string[] }>

export type ChooseContext = Readonly<{
  fleet: Fleet
  usage: Usage
  /** Nodes to try last: something of this group failed there not long ago. */
  excluded: ReadonlySet<PeerId>
  /** Where the group's other slots stand. */
  spread: Spread
  keysPlanned: KeysPlanned
}>

/** Fits to compare, and how many to ask for the first when fits are rare. */
const comparedMax = 16
const askedMax = 1_024

type Candidate = Readonly<{ entry: FleetEntry; score: number }>

/** The best node for one more slot of `target`. Same input, same answer. */
export function chooseNode(target: GroupTarget, context: ChooseContext, draw = 0): Choice {
  let best: Candidate | undefined
  let bestExcluded: Candidate | undefined
  let [compared, asked] = [0, 0]
  for (const entry of context.fleet.candidates(target, draw)) {
    asked++
    if (!isProblem(entry, target, context)) {
      const candidate = { entry, score: scoreOf(entry, target, context) }
      if (context.excluded.has(entry.node)) bestExcluded = better(candidate, bestExcluded)
      else {
        best = better(candidate, best)
        compared++
      }
    }
    if (compared >= comparedMax || (best && asked >= askedMax)) break
  }
  // A small network has no other node: better to try again there, with back-off, than never.
  const chosen = (best ?? bestExcluded)?.entry
  const capacity = chosen?.view.capacity
  if (!chosen || !capacity) return { node: undefined, gpuUuids: [] }
  const used = context.usage.of(chosen.node)
  return { node: chosen.node, gpuUuids: gpusFor(capacity, used, target) ?? [] }
}

function isProblem({ node, view }: FleetEntry, target: GroupTarget, at: ChooseContext): boolean {
  const used = at.usage.of(node)
  const keysPlanned = at.keysPlanned.get(node) ?? 0
  return firstProblem({ view, target, used, keysPlanned }) !== undefined
}

function scoreOf(entry: FleetEntry, target: GroupTarget, at: ChooseContext): number {
  const { view, domains, node } = entry
  const neighbours = at.spread.neighbours(domains)
  return totalOf(scorePartsOf({ view, target, used: at.usage.of(node), neighbours }))
}

function better(a: Candidate, b: Candidate | undefined): Candidate {
  if (!b) return a
  if (a.score !== b.score) return a.score > b.score ? a : b
  return a.entry.node < b.entry.node ? a : b
}

/** Where to begin looking for a slot: the same for the same slot and epoch, another for the next. */
export function drawOf(text: string): number {
  // FNV-1a: any mixing will do.
  let hash = 0x811c9dc5
  for (let at = 0; at < text.length; at++) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193) >>> 0
  }
  return hash
}
