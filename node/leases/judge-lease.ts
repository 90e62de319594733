/**
 * Until when an instance may run, given what its node knows: the table "A node loses renewals". Pure;
 * all times are the coordinator's. Who cannot reach the coordinator does not know on which side the
 * fault is, and the two sides want opposite things: cut off, it must stop, for its slot goes elsewhere;
 * orphaned, it must run on, for nobody takes over. Pulses and the peers that answer tell them apart.
 */

/** A line that is down for less than this costs nobody anything. */
export const outliveMs = 60_000
/** Clocks apart, and the time that a container takes to stop. */
const leaseSkewMs = 2_000
/** How long one that was cut off tries to reach the coordinator before it gives up. */
const lastTryMs = 5_000
/** So many other households answering prove the own line. */
const witnessesMax = 3

export type LeaseFacts = Readonly<{
  leaseEndMs: number
  strict: boolean
  lostAfterMs: number
  orphanAfterMs: number
  /** When it was first known that the coordinator goes on without this node; see {@link Verdict}. */
  cutOffSinceMs?: number | undefined
}>

/** What is known of the world since the lease ended. */
export type Word = Readonly<{
  /** The newest pulse, whoever told it. */
  pulse?: Readonly<{ timeMs: number; settled: boolean; holding: boolean }> | undefined
  /** Other public networks from which a peer answered since the lease ended. */
  witnesses: number
  /** When the last of them did. */
  lastWitnessMs?: number | undefined
  /** Other households in the network, as told in renewals; unknown: enough. */
  otherHouseholds?: number | undefined
}>

export type Rule =
  /** The lease runs. */
  | 'leased'
  /** The coordinator lives, has settled and has not renewed: the slot goes elsewhere. */
  | 'cut-off'
  /** The coordinator lives and replaces nobody: it waits for its nodes. */
  | 'awaited'
  /** Nobody answers: the own line is down. */
  | 'line-down'
  /** Others answer and know of no coordinator: it is down. */
  | 'orphan'

export type Verdict = Readonly<{
  rule: Rule
  /** The instance must have stopped by then, as far as is known now. */
  stopAtMs: number
  /** Until when it may run should the daemon freeze now. */
  guardAtMs: number
  /** To be kept, and brought along, until the lease is renewed. */
  cutOffSinceMs?: number | undefined
}>

/** What holds at `nowMs`. */
export function judgeLease(lease: LeaseFacts, word: Word, nowMs: number): Verdict {
  const { leaseEndMs, strict } = lease
  const rule = ruleOf(lease, word, nowMs)
  const cutOffSinceMs = rule === 'cut-off' ? (lease.cutOffSinceMs ?? nowMs) : undefined
  const stopAtMs = strict ? leaseEndMs : stopAtOf(rule, lease, word, cutOffSinceMs ?? nowMs)
  const extendedMs = Math.max(leaseEndMs, Math.min(nowMs, stopAtMs - outliveMs)) + outliveMs
  return {
    rule,
    stopAtMs,
    guardAtMs: strict ? leaseEndMs : extendedMs,
    ...(cutOffSinceMs === undefined ? {} : { cutOffSinceMs }),
  }
}

function ruleOf(lease: LeaseFacts, word: Word, nowMs: number): Rule {
  const { leaseEndMs } = lease
  if (nowMs <= leaseEndMs) return 'leased'
  const { pulse, witnesses, otherHouseholds = witnessesMax } = word
  if (pulse && pulse.timeMs > leaseEndMs) {
    if (pulse.settled && !pulse.holding) return 'cut-off'
    // A coordinator that was settling then, and is heard of no more, has settled by now or is down.
    if (nowMs < pulse.timeMs + patienceMs(lease)) return 'awaited'
  }
  const isProved = witnesses >= Math.min(witnessesMax, otherHouseholds)
  return isProved ? 'orphan' : 'line-down'
}

function stopAtOf(rule: Rule, lease: LeaseFacts, word: Word, cutOffSinceMs: number): number {
  const { leaseEndMs, lostAfterMs, orphanAfterMs } = lease
  const orphanEndMs = leaseEndMs + orphanAfterMs
  switch (rule) {
    case 'leased':
    case 'line-down':
      return leaseEndMs + patienceMs(lease)
    case 'cut-off': {
      const triedMs = cutOffSinceMs + lastTryMs
      // News that comes in the last seconds of the first minute does not lengthen it.
      const graceMs = leaseEndMs + patienceMs(lease)
      const lastMs = cutOffSinceMs <= graceMs ? Math.min(triedMs, graceMs) : triedMs
      return Math.max(leaseEndMs + leaseSkewMs + lostAfterMs, lastMs)
    }
    case 'awaited':
      return Math.min(orphanEndMs, (word.pulse?.timeMs ?? 0) + patienceMs(lease))
    case 'orphan': {
      // Alone in its network, it has nobody who could tell.
      if (word.otherHouseholds === 0) return orphanEndMs
      // The own line may break later, and the coordinator come back meanwhile.
      const heardMs = Math.max(leaseEndMs, word.lastWitnessMs ?? 0)
      return Math.min(orphanEndMs, heardMs + patienceMs(lease))
    }
  }
}

/** How long no word from anywhere is borne. */
function patienceMs({ lostAfterMs }: LeaseFacts): number {
  return Math.max(outliveMs, lostAfterMs)
}
