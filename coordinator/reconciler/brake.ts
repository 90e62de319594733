/**
 * When many fall silent at once, the fault is nearly always on the observer's side. So the
 * coordinator suspects itself: it holds, and replaces nobody, until they return or its own checks have
 * passed for two minutes. Pure: state and what is seen in, state out. Without it a router that
 * restarts beside the coordinator would start a thousand containers elsewhere.
 */
import type { PeerId } from '../../protocol/ids.ts'

/** A node as the brake sees it. */
export type Watched = Readonly<{
  node: PeerId
  household: string
  /** Coordinator's time at which it was last heard. */
  heardMs: number
}>

/** Nodes that fell silent together, and since when the coordinator holds for them. */
export type Hold = Readonly<{
  sinceMs: number
  fallen: readonly Watched[]
  /** Since when every own check has passed. */
  soundSinceMs?: number | undefined
}>

export type BrakeState = Readonly<{
  hold?: Hold | undefined
  /** What fell silent up to then is judged: it engages the brake no more. */
  judgedUntilMs: number
}>

export type BrakeInput = Readonly<{
  nowMs: number
  /** Nodes that are neither banned nor gone with a goodbye, silent ones included. */
  nodes: readonly Watched[]
  /** How the coordinator's own checks went last; asked only while it holds. */
  isSound: boolean
  leaseMs: number
}>

export const calm: BrakeState = { judgedUntilMs: 0 }

const shareMax = 0.3
const nodesMin = 10
const householdsMin = 5
/** What fell silent before was looked at when it did; its share must not grow as others leave. */
const recentLeases = 2
/** Own checks that pass for so long acquit the observer. */
const soundForMs = 120_000
/** All but one in ten are back: the rest are gone for reasons of their own. */
const returnedShare = 0.9

/** Beats come three a lease: who missed one and half the way to the next is silent. */
export function isSilent({ heardMs }: Watched, nowMs: number, leaseMs: number): boolean {
  return nowMs - heardMs > leaseMs / 2
}

/** The state after a look at `input`. */
export function brake(state: BrakeState, input: BrakeInput): BrakeState {
  const fallen = fallenTogether(state, input)
  if (!state.hold) {
    if (!isSuspicious(fallen, input)) return state
    return { ...state, hold: { sinceMs: input.nowMs, fallen } }
  }
  const { nowMs, isSound } = input
  const { hold } = state
  const all = merge(hold.fallen, fallen)
  const soundSinceMs = isSound ? (hold.soundSinceMs ?? nowMs) : undefined
  const isAcquitted = soundSinceMs !== undefined && nowMs - soundSinceMs >= soundForMs
  if (isAcquitted || haveReturned(all, input)) return { judgedUntilMs: nowMs - input.leaseMs / 2 }
  return { ...state, hold: { sinceMs: hold.sinceMs, fallen: all, soundSinceMs } }
}

/** The most that fell silent within one lease of one another, and not before what is judged. */
function fallenTogether({ judgedUntilMs, hold }: BrakeState, input: BrakeInput): Watched[] {
  const { nowMs, nodes, leaseMs } = input
  const silent = nodes
    .filter((node) => node.heardMs > Math.max(judgedUntilMs, nowMs - recentLeases * leaseMs))
    .filter((node) => isSilent(node, nowMs, leaseMs))
    .sort((a, b) => a.heardMs - b.heardMs)
  if (hold) return silent.filter(({ heardMs }) => heardMs >= hold.sinceMs - leaseMs)
  let best: Watched[] = []
  let from = 0
  for (const [to, { heardMs }] of silent.entries()) {
    while (heardMs - (silent[from]?.heardMs ?? heardMs) > leaseMs) from++
    if (to - from + 1 > best.length) best = silent.slice(from, to + 1)
  }
  return best
}

/** Against those that were there when it began: who was silent long before counts for neither. */
function isSuspicious(fallen: readonly Watched[], { nodes, nowMs, leaseMs }: BrakeInput): boolean {
  const awake = nodes.filter((node) => !isSilent(node, nowMs, leaseMs)).length
  const households = new Set(fallen.map(({ household }) => household)).size
  const isMany = fallen.length > shareMax * (awake + fallen.length)
  return isMany && fallen.length >= nodesMin && households >= householdsMin
}

function haveReturned(fallen: readonly Watched[], { nodes, nowMs, leaseMs }: BrakeInput): boolean {
  const awake = new Set(
    nodes.filter((node) => !isSilent(node, nowMs, leaseMs)).map(({ node }) => node),
  )
  const back = fallen.filter(({ node }) => awake.has(node)).length
  return back >= returnedShare * fallen.length
}

function merge(before: readonly Watched[], now: readonly Watched[]): readonly Watched[] {
  const known = new Set(before.map(({ node }) => node))
  return [...before, ...now.filter(({ node }) => !known.has(node))]
}
