/**
 * The lease of one instance here: until when it may run by what is known, on the boot clock, and what
 * its guard is told. Kept beside the order, judged anew each second.
 */
import type { CoordinatorTime } from '../../protocol/control/index.ts'
import type { Allocation } from '../../protocol/orders/index.ts'
import type { GuardTime } from '../guard/index.ts'
import type { LeaseWatch, Verdict } from '../leases/index.ts'

export type LeaseTerms = {
  /** Coordinator's time; undefined where a daemon before this one did not leave it. */
  leaseEndMs: number | undefined
  cutOffSinceMs: number | undefined
  rule: Verdict['rule']
  /** Boot clock, all three. */
  stopAtMs: number
  guardAtMs: number
  /** What the daemon before this one allowed: until then this one finds out for itself. */
  readonly grantedMs: number
}

export type LeaseParts = Readonly<{
  time: CoordinatorTime
  leases: Pick<LeaseWatch, 'judge'>
}>

/** Of an order that is taken now. */
export function termsOf(order: Allocation, parts: LeaseParts): LeaseTerms {
  const { leaseEndMs } = order
  const endMs = parts.time.bootMsAt(leaseEndMs) ?? 0
  const terms: LeaseTerms = {
    ...{ leaseEndMs, cutOffSinceMs: undefined, rule: 'leased' },
    ...{ stopAtMs: endMs, guardAtMs: endMs, grantedMs: 0 },
  }
  review(terms, order, parts)
  return terms
}

/** Of an order of the daemon before this one, as its guard knows it. */
export function rememberedTerms(known: GuardTime | undefined): LeaseTerms {
  const stopAtMs = known?.stopAtMs ?? 0
  return {
    ...{ leaseEndMs: known?.leaseEndMs, cutOffSinceMs: undefined, rule: 'leased' },
    ...{ stopAtMs, guardAtMs: stopAtMs, grantedMs: stopAtMs },
  }
}

/** A lease only grows: an answer that came late takes nothing back. */
export function extend(
  terms: LeaseTerms,
  order: Allocation,
  leaseEndMs: number,
  parts: LeaseParts,
): void {
  terms.leaseEndMs = Math.max(terms.leaseEndMs ?? 0, leaseEndMs)
  terms.cutOffSinceMs = undefined
  review(terms, order, parts)
}

/** Judges by what is known now. True when another rule holds than before. */
export function review(terms: LeaseTerms, order: Allocation, { time, leases }: LeaseParts) {
  const { leaseEndMs, cutOffSinceMs } = terms
  if (leaseEndMs === undefined) return false
  const { strict, lostAfterMs, orphanAfterMs } = order
  const verdict = leases.judge({ leaseEndMs, strict, lostAfterMs, orphanAfterMs, cutOffSinceMs })
  if (!verdict) return false
  const isOther = verdict.rule !== terms.rule
  terms.rule = verdict.rule
  terms.cutOffSinceMs = verdict.cutOffSinceMs
  // Nobody was asked yet by a daemon that has just started.
  const grantedMs = verdict.rule === 'line-down' ? terms.grantedMs : 0
  terms.stopAtMs = Math.max(grantedMs, time.bootMsAt(verdict.stopAtMs) ?? terms.stopAtMs)
  terms.guardAtMs = Math.max(grantedMs, time.bootMsAt(verdict.guardAtMs) ?? terms.guardAtMs)
  return isOther
}
