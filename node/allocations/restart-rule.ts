/**
 * What follows when a container ends by itself: Potluck alone restarts (the engine's own policy is
 * off, so that nothing starts without a lease). Pure.
 */
import type { RestartPolicy } from '../../protocol/orders/index.ts'

export type Verdict =
  | Readonly<{ kind: 'restart'; afterMs: number }>
  | Readonly<{ kind: 'finished' }>
  | Readonly<{ kind: 'failed' }>

export type Exit = Readonly<{
  exitCode: number
  /** How long it ran. */
  ranMs: number
  /** Restarts in a row of which none ran `steadyMs`. */
  quickRestarts: number
}>

/** A container that ran so long was well: its back-off starts anew. */
export const steadyMs = 60_000
/** After so many quick ends in a row another node may do better. */
const quickRestartsMax = 5
const backOffMinMs = 1_000
const backOffMaxMs = 30_000

/** `failed` hands the slot back, so that the coordinator tries another node. */
export function afterExit(policy: RestartPolicy, exit: Exit): Verdict {
  const isWell = exit.exitCode === 0
  if (policy === 'never') return { kind: isWell ? 'finished' : 'failed' }
  if (policy === 'on_failure' && isWell) return { kind: 'finished' }
  const quick = exit.ranMs >= steadyMs ? 0 : exit.quickRestarts
  if (!isWell && quick >= quickRestartsMax) return { kind: 'failed' }
  return {
    kind: 'restart',
    afterMs: Math.min(backOffMaxMs, backOffMinMs * 2 ** Math.min(quick, 5)),
  }
}
