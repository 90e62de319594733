/** Tries again what may succeed a little later, a bounded number of times. */
import type { Clock } from '../../protocol/clock.ts'
import { ImageSourceError } from './errors.ts'

export type RetryInit = Readonly<{
  /** How many times, after the first. */
  retriesMax?: number
  /** The first wait; each next one is twice as long. */
  backoffMs?: number
  /** The longest wait. A registry that asks for a longer one gets its error handed on. */
  backoffMaxMs?: number
}>

export type RetryComponents = Readonly<{
  clock: Clock
  /** In [0, 1): spreads the waits, so that many pulls do not come back at one moment. */
  random: () => number
}>

export interface Retry {
  /**
   * Waits before retry number `failures` (from 1).
   * @throws `error` itself when it is not transient, or it was the last try.
   */
  wait(error: unknown, failures: number, signal: AbortSignal): Promise<void>
  /** Runs `attempt` until it succeeds or {@link wait} throws. */
  run<T>(attempt: () => Promise<T>, signal: AbortSignal): Promise<T>
}

export function createRetry(
  { retriesMax = 4, backoffMs = 500, backoffMaxMs = 30_000 }: RetryInit,
  { clock, random }: RetryComponents,
): Retry {
  const wait: Retry['wait'] = async (error, failures, signal) => {
    const retryable = error instanceof ImageSourceError && error.transient
    if (!retryable || failures > retriesMax) throw error
    const asked = error.retryAfterMs ?? 0
    if (asked > backoffMaxMs) throw error
    const backoff = Math.min(backoffMaxMs, backoffMs * 2 ** (failures - 1)) * (0.5 + random() / 2)
    await clock.sleep(Math.max(asked, backoff), { signal })
  }
  return {
    wait,
    async run(attempt, signal) {
      for (let failures = 1; ; failures += 1) {
        try {
          signal.throwIfAborted()
          return await attempt()
        } catch (error) {
          await wait(error, failures, signal)
        }
      }
    },
  }
}
