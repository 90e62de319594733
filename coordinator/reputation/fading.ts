/** A score that fades: what was long ago says little of how a home is today. */
export type Fading = Readonly<{ points: number; atMs: number }>

/** What is left of it at `nowMs`. */
export function pointsAt(score: Fading | undefined, nowMs: number, halfLifeMs: number): number {
  if (!score) return 0
  return score.points * 0.5 ** (Math.max(0, nowMs - score.atMs) / halfLifeMs)
}

/** With so many points more. */
export function addPoints(
  score: Fading | undefined,
  more: number,
  { nowMs, halfLifeMs }: Readonly<{ nowMs: number; halfLifeMs: number }>,
): Fading {
  return { points: pointsAt(score, nowMs, halfLifeMs) + more, atMs: nowMs }
}
