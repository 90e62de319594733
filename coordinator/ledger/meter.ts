/**
 * For how long one epoch of a slot is charged: a pure function of what the coordinator saw of it.
 * Between two looks it ran if the first showed `running` and the second came before the lease of
 * the first was over. So nothing is charged while it is allocated, downloaded, created or restarted,
 * nothing after the last renewal that the node is known to have had, and again from the next look.
 */

/** What was seen of the epoch at a moment: a beat that renewed its lease, a report, its end. */
export type Look = Readonly<{
  /** Coordinator's time. */
  atMs: number
  /** Whether the node showed it as `running`. An end is a look at which it does not run. */
  runs: boolean
}>

export type Meter = Readonly<{
  seenMs: number
  runs: boolean
  /** Time for which it ran, from its first second on. */
  ranMs: number
  /** Hours that are over, with `ranMs` at their end: what may be posted. */
  closed: readonly Readonly<{ hourMs: number; ranMs: number }>[]
}>

export const hourMs = 3_600_000

export function startMeter({ atMs, runs }: Look): Meter {
  return { seenMs: atMs, runs, ranMs: 0, closed: [] }
}

export function hourOf(atMs: number): number {
  return atMs - (atMs % hourMs)
}

/** The meter after `look`. One that came late (a clock that stood still, a message overtaken) adds nothing. */
export function stepMeter(meter: Meter, look: Look, leaseMs: number): Meter {
  const atMs = Math.max(look.atMs, meter.seenMs)
  const elapsedMs = atMs - meter.seenMs
  const ran = meter.runs && elapsedMs <= leaseMs
  const next = { ...meter, seenMs: atMs, runs: look.runs }
  const hour = hourOf(meter.seenMs)
  if (hourOf(atMs) === hour) return ran ? { ...next, ranMs: meter.ranMs + elapsedMs } : next
  // A lease is shorter than an hour, so at most one boundary lies within what is charged.
  const beforeMs = ran ? hour + hourMs - meter.seenMs : 0
  const closed = [...meter.closed, { hourMs: hour, ranMs: meter.ranMs + beforeMs }]
  return { ...next, ranMs: meter.ranMs + (ran ? elapsedMs : 0), closed }
}
