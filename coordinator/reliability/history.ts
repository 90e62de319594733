/**
 * How well a node stayed, as it was observed: time here, time away, and how often it left. What is
 * long past counts less, because homes change: a week old counts half. Pure.
 */
import Type, { type Static } from 'typebox'
import { TimeMsSchema } from '../../protocol/wire/index.ts'

export const NodeHistorySchema = Type.Object({
  /** Decayed to `atMs`. */
  upMs: Type.Number({ minimum: 0 }),
  awayMs: Type.Number({ minimum: 0 }),
  interruptions: Type.Number({ minimum: 0 }),
  /** Coordinator's time of the last look. */
  atMs: TimeMsSchema,
  /** What it was then. */
  up: Type.Boolean(),
})
export type NodeHistory = Readonly<Static<typeof NodeHistorySchema>>

const dayMs = 86_400_000
const halfLifeMs = 7 * dayMs

export function newHistory(up: boolean, nowMs: number): NodeHistory {
  return { upMs: 0, awayMs: 0, interruptions: 0, atMs: nowMs, up }
}

/** The history after the node was seen `up` or not. Until now it was as it was at the last look. */
export function observe(before: NodeHistory, up: boolean, nowMs: number): NodeHistory {
  const passedMs = Math.max(0, nowMs - before.atMs)
  const keep = 0.5 ** (passedMs / halfLifeMs)
  return {
    upMs: before.upMs * keep + (before.up ? passedMs : 0),
    awayMs: before.awayMs * keep + (before.up ? 0 : passedMs),
    interruptions: before.interruptions * keep + (before.up && !up ? 1 : 0),
    atMs: Math.max(before.atMs, nowMs),
    up,
  }
}

/**
 * From 0 to 1, the geometric mean of the share of time that it was here and of how its days between
 * two departures compare to one. Starts at a half: a day of half-good history is assumed.
 */
export function reliabilityOf({ upMs, awayMs, interruptions }: NodeHistory): number {
  const share = (upMs + dayMs / 2) / (upMs + awayMs + dayMs)
  const betweenMs = (upMs + dayMs) / (interruptions + 1)
  return Math.sqrt(share * (betweenMs / (betweenMs + dayMs)))
}
