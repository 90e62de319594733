/**
 * When the line is measured: soon after joining, every few hours, and when the home's address has
 * changed, for then the line may have too. Never while chunks move: a test would slow them, and
 * measure them. All times are drawn, so that a street of homes does not test in step.
 */
import type { Clock } from '../../protocol/clock.ts'
import type { LinkRate } from '../../protocol/link-test/index.ts'
import { LinkTestRefusedError } from '../../protocol/link-test/index.ts'
import type { Logger } from '../../protocol/log/index.ts'
import type { PeerAddress } from '../../protocol/mesh/index.ts'

/** After joining, and after a change of address. */
const soonMs = 2_000
/** Between two good tests; up to twice that. */
const againMs = 4 * 3_600_000
const busyMs = 3_000
const tooSoonMs = 60_000
const failedMs = 5_000
const retryMaxMs = 600_000
/** While a test runs, how often it is looked whether chunks move. */
const lookMs = 250

export type LinkTesterComponents = Readonly<{
  /** Those of the roster. */
  caches: () => readonly PeerAddress[]
  measure: (cache: PeerAddress, options: { readonly signal: AbortSignal }) => Promise<LinkRate>
  /** Nothing moves over the line on our behalf. */
  isQuiet: () => boolean
  onMeasured: (rate: LinkRate) => void
  clock: Clock
  /** Uniform in [0, 1). */
  random: () => number
  logger: Logger
}>

export interface LinkTester {
  /** Tests until `signal`. Call once. Never rejects. */
  run(signal: AbortSignal): Promise<void>
  /** The line may be another now. */
  testSoon(): void
}

/** Does nothing before `run`. */
export function createLinkTester(components: LinkTesterComponents): LinkTester {
  const { caches, measure, isQuiet, onMeasured, clock, random, logger } = components
  let nap = new AbortController()
  /** Tests in a row that told nothing. */
  let misses = 0

  const retryMs = (leastMs: number): number => {
    misses += 1
    const most = Math.min(retryMaxMs, leastMs * 1.5 ** Math.min(misses, 20))
    return most * (0.5 + random())
  }
  /** Tests once. Resolves with how long to wait for the next. */
  const test = async (signal: AbortSignal): Promise<number> => {
    const all = caches()
    const cache = all[Math.floor(random() * all.length)]
    if (!cache) return retryMs(failedMs)
    // Chunks come first: their end is not worth a step of back-off.
    if (!isQuiet()) return busyMs * (1 + random())
    const ended = new AbortController()
    const watched = watch(ended, signal)
    try {
      const rate = await measure(cache, { signal: AbortSignal.any([signal, ended.signal]) })
      misses = 0
      logger.debug({ cache: cache.peer, ...rate }, 'the line was measured')
      onMeasured(rate)
      return againMs * (1 + random())
    } catch (error) {
      if (!signal.aborted) logger.debug({ cache: cache.peer, error }, 'the line was not measured')
      if (!(error instanceof LinkTestRefusedError)) return retryMs(failedMs)
      return retryMs(error.refusal === 'TOO_SOON' ? tooSoonMs : busyMs)
    } finally {
      ended.abort(new Error('the test is over'))
      await watched
    }
  }
  const watch = async (ended: AbortController, signal: AbortSignal): Promise<void> => {
    while (!ended.signal.aborted && !signal.aborted) {
      const either = AbortSignal.any([ended.signal, signal])
      await clock.sleep(lookMs, { signal: either }).catch(() => undefined)
      if (!isQuiet()) ended.abort(new Error('chunks move'))
    }
  }
  return {
    async run(signal) {
      let waitMs = soonMs * random()
      while (!signal.aborted) {
        nap = new AbortController()
        const woken = nap.signal
        await clock
          .sleep(waitMs, { signal: AbortSignal.any([woken, signal]) })
          .catch(() => undefined)
        if (woken.aborted) await clock.sleep(soonMs * random(), { signal }).catch(() => undefined)
        if (!signal.aborted) waitMs = await test(signal)
      }
    },
    testSoon() {
      misses = 0
      nap.abort(new Error('the line may be another'))
    },
  }
}
