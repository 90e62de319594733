/** Whether the coordinator can do its work, as the readiness endpoint tells it. */
import type { Clock } from '../protocol/clock.ts'
import type { Store } from '../protocol/store/index.ts'
import type { Health } from './api/index.ts'

/** Strangers may ask: they share one write, and cause one in so long. */
const probeMs = 5_000
/** A disk that hangs is not ready, and the question must not hang with it. */
const patienceMs = 3_000

export function createHealth({
  store,
  clock,
  settled,
  inForce,
}: Readonly<{
  store: Pick<Store, 'put'>
  clock: Clock
  settled: () => boolean
  /** False: it was deposed, or runs on an old backup, and may order nothing. */
  inForce: () => boolean
}>): Health {
  let probedMs = Number.NEGATIVE_INFINITY
  let writable: Promise<boolean> = Promise.resolve(true)

  const probe = async (): Promise<boolean> => {
    const patience = new AbortController()
    const late = clock.sleep(patienceMs, { signal: patience.signal }).then(
      () => false,
      () => false,
    )
    // A store that failed once refuses all writes; reads would go on as if nothing were wrong.
    const written = store.put('health/probe', 1).then(
      () => true,
      () => false,
    )
    const isWritable = await Promise.race([written, late])
    patience.abort()
    return isWritable
  }
  return {
    async readiness() {
      if (clock.nowMs() - probedMs >= probeMs) {
        probedMs = clock.nowMs()
        writable = probe()
      }
      return { storeWritable: await writable, settled: settled(), inForce: inForce() }
    },
  }
}
