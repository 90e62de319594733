/**
 * The coordinator's time: what leases, tickets and orders are counted in. It starts near the Unix
 * epoch's and then follows the boot clock, so that a wall clock that jumps changes nothing, and it
 * never goes back over a restart: a lease that was promised until T must not be promised again
 * because the coordinator that promised it was killed.
 *
 * Within one boot the offset to the boot clock is kept, so a restart is seamless. After a reboot
 * time goes on from the wall clock or, where that is behind, from a mark that was persisted ahead
 * of every time ever told.
 */
import Type from 'typebox'
import type { Clock } from '../../protocol/clock.ts'
import type { Logger } from '../../protocol/log/index.ts'
import { collection, type Store } from '../../protocol/store/index.ts'
import { CountSchema, TextSchema } from '../../protocol/wire/index.ts'

const MarkSchema = Type.Object({
  bootId: TextSchema(128),
  /** Coordinator's time less the boot clock. */
  offsetMs: Type.Number(),
  /** No time beyond this one was ever told. */
  aheadMs: CountSchema(),
})

/** Far enough that a slow disk does not stop time, near enough that a reboot hardly jumps. */
const aheadMs = 10_000
const markEachMs = 3_000

export interface CoordinatorClock {
  /** Whole milliseconds of the coordinator's time; never goes back. */
  nowMs(): number
  /** Ends the marks; the last one is written. */
  stop(): Promise<void>
}

export type CoordinatorClockComponents = Readonly<{
  store: Store
  /** The boot clock. */
  clock: Clock
  /** Changes at each boot. */
  bootId: string
  wallMs: () => number
  logger: Logger
}>

/** Reads the mark, decides where time goes on, and persists marks until `stop`. */
export async function createCoordinatorClock(
  components: CoordinatorClockComponents,
): Promise<CoordinatorClock> {
  const { store, clock, bootId, wallMs, logger } = components
  const marks = collection(store, 'time', MarkSchema)
  const last = await marks.get('mark')
  const offsetMs =
    last && last.bootId === bootId
      ? last.offsetMs
      : Math.max(wallMs(), last?.aheadMs ?? 0) - clock.nowMs()
  const now = (): number => Math.floor(clock.nowMs() + offsetMs)
  let toldMaxMs = 0
  let markedMs = 0

  const mark = async (): Promise<void> => {
    const untilMs = now() + aheadMs
    await marks.put('mark', { bootId, offsetMs, aheadMs: untilMs })
    markedMs = untilMs
  }
  await mark()
  const stopped = new AbortController()
  const run = async (): Promise<void> => {
    while (!stopped.signal.aborted) {
      await clock.sleep(markEachMs, { signal: stopped.signal }).catch(() => undefined)
      if (stopped.signal.aborted) return
      await mark().catch((error: unknown) => logger.error({ error }, 'could not persist the time'))
    }
  }
  const running = run()
  return {
    nowMs() {
      // Past the mark a crash could make time go back, so it stands still until the disk answers.
      toldMaxMs = Math.max(toldMaxMs, Math.min(now(), markedMs))
      return toldMaxMs
    },
    async stop() {
      stopped.abort()
      await running
    },
  }
}
