/**
 * What the coordinator itself sees of a node, and what follows. Absence is what homes do: a node
 * that loses its leases too often is given a rest, longer each time, and is never banned for it.
 * A ban is for what no line explains: an instance that a node goes on showing, connected all the
 * while, though it was told to stop it; a GPU that becomes another one.
 */
import { addPoints, type Fading } from './fading.ts'

/**
 * `lapse`: the lease of something it ran ran out. `refusal`: an order refused that it had room for.
 * `not-stopped`: shown long after the order to stop. `gpu-changed`: one GPU by two natures.
 * `gpu-elsewhere`: a GPU that another home has.
 */
export type OffenceKind = 'lapse' | 'refusal' | 'not-stopped' | 'gpu-changed' | 'gpu-elsewhere'

type Rule = Readonly<{
  points: number
  halfLifeMs: number
  /** From so many points on it rests: so long, doubled with each point more. */
  restAt?: number
  restMs?: number
  /** From so many points on it is banned. */
  banAt?: number
}>

const hourMs = 3_600_000
const rules: Readonly<Record<OffenceKind, Rule>> = {
  lapse: { points: 1, halfLifeMs: 6 * hourMs, restAt: 4, restMs: hourMs / 6 },
  refusal: { points: 1, halfLifeMs: hourMs, restAt: 5, restMs: hourMs / 6 },
  // Each is ten minutes of going on: an hour of it, while it answers every five seconds.
  'not-stopped': { points: 1, halfLifeMs: 12 * hourMs, restAt: 1, restMs: hourMs, banAt: 5.5 },
  // A card is changed for another now and then; a claim that changes thrice a week is one.
  'gpu-changed': { points: 1, halfLifeMs: 7 * 24 * hourMs, restAt: 2, restMs: hourMs, banAt: 2.5 },
  'gpu-elsewhere': { points: 1, halfLifeMs: hourMs, restAt: 1, restMs: hourMs },
}
const restMsMax = 12 * hourMs

export type Conduct = Readonly<{
  scores: Partial<Readonly<Record<OffenceKind, Fading>>>
  /** Nothing new is given to it before. */
  restsUntilMs: number
}>

export const spotless: Conduct = { scores: {}, restsUntilMs: 0 }

/** What a ban of this kind is for, in the words of the list. */
export const banSourceOf: Partial<
  Readonly<Record<OffenceKind, 'lease-violation' | 'forged-capacity'>>
> = { 'not-stopped': 'lease-violation', 'gpu-changed': 'forged-capacity' }

/** One offence more; `ban`: it was the last straw. */
export function offend(
  before: Conduct,
  kind: OffenceKind,
  nowMs: number,
): Readonly<{ conduct: Conduct; ban: boolean }> {
  const { points: more, halfLifeMs, restAt, restMs = 0, banAt } = rules[kind]
  const score = addPoints(before.scores[kind], more, { nowMs, halfLifeMs })
  const { points } = score
  const rests = restAt !== undefined && points >= restAt - 0.01
  const forMs = rests ? Math.min(restMsMax, restMs * 2 ** Math.floor(points - restAt + 0.01)) : 0
  const restsUntilMs = Math.max(before.restsUntilMs, nowMs + forMs)
  const conduct = { scores: { ...before.scores, [kind]: score }, restsUntilMs }
  return { conduct, ban: banAt !== undefined && points >= banAt }
}
