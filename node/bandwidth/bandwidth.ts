/**
 * The node's hold on its chef's line: which limits are in force now, by what the chef set, by the
 * hour of the week, by a wish for the next hours, or, where nothing is said of uploads, by what
 * the line was measured to do and how long others in the home would wait.
 */
import type { Clock } from '../../protocol/clock.ts'
import { formatBitRate } from '../../protocol/config/index.ts'
import type { Link } from '../../protocol/control/index.ts'
import type { LinkRate } from '../../protocol/link-test/index.ts'
import type { Logger } from '../../protocol/log/index.ts'
import {
  type LinkRates,
  type Swarm,
  type SwarmLimits,
  type SwarmReport,
  swarmLimitsOf,
  wireBytes,
} from '../../protocol/swarm/index.ts'
import { createHeadroom } from './headroom.ts'
import { type Limits, limitsAt, parseWindow, type Window, wallClockAt } from './schedule.ts'

export type BandwidthSettings = Limits & Readonly<{ schedule: readonly string[] }>

/** Round trips are looked at while chunks go out, the schedule all the time. */
const sendingMs = 250
const idleMs = 1_000
/** After the last chunk went out. */
const afterwardsMs = 5_000
/** Nothing moved for so long: a link test disturbs nobody. */
const quietMs = 3_000
/** Steps of the default limit that are worth a change. */
const noticeableShare = 0.01

export type BandwidthComponents = Readonly<{
  clock: Clock
  /** Milliseconds since 1970, as the wall clock has them. */
  wallMs: () => number
  logger: Logger
}>

/** What is needed of a swarm. */
export type LimitedSwarm = Pick<Swarm, 'setLimits'> &
  Readonly<{ stats: () => Pick<SwarmReport, 'uploadedBytes' | 'downloadedBytes'> }>

export interface Bandwidth {
  /** What the chef chose for now: settings, the hour, a wish. */
  chosen(): Limits
  /** What the swarm may use now. */
  limits(): SwarmLimits
  /** What others may count on: the line as measured, never above what the chef allows. */
  linkRates(): LinkRates
  /** The same for the coordinator; undefined before the first test. */
  link(): Link | undefined
  /** Other settings, from now on. @throws {ScheduleError} nothing has changed then. */
  apply(settings: BandwidthSettings): void
  /** Limits that go before all settings until then; empty ones end an earlier wish. */
  hold(limits: Limits, forMs: number): void
  measured(rate: LinkRate): void
  /** Another control connection, maybe over another path. */
  newPath(): void
  roundTrip(ms: number): void
  /** Nothing has moved over the line on our behalf for a few seconds. */
  isQuiet(): boolean
  /** Keeps the swarm's limits true until `signal`. Never rejects. */
  run(swarm: LimitedSwarm, ping: () => void, signal: AbortSignal): Promise<void>
}

/** @throws {ScheduleError} */
export function createBandwidth(
  settings: BandwidthSettings,
  { clock, wallMs, logger }: BandwidthComponents,
): Bandwidth {
  const headroom = createHeadroom()
  let usual = settings
  let windows: readonly Window[] = settings.schedule.map(parseWindow)
  let wish: Readonly<{ limits: Limits; untilMs: number }> | undefined
  let measured: Link | undefined
  let rate = headroom.step(0, clock.nowMs())
  let movedMs = Number.NEGATIVE_INFINITY
  let sentMs = Number.NEGATIVE_INFINITY

  const chosen = (): Limits => {
    if (wish && clock.nowMs() >= wish.untilMs) wish = undefined
    return { ...limitsAt(usual, windows, wallClockAt(wallMs())), ...wish?.limits }
  }
  const limits = (): SwarmLimits => {
    const set = chosen()
    const byDefault =
      set.uploadBitsPerS === undefined ? { uploadBytesPerS: rate, gentle: true } : {}
    return { ...byDefault, ...swarmLimitsOf(set) }
  }
  const link = (): Link | undefined => {
    if (!measured) return undefined
    const { uploadBitsPerS, downloadBitsPerS } = chosen()
    return {
      upBitsPerS: Math.min(measured.upBitsPerS, uploadBitsPerS ?? Infinity),
      downBitsPerS: Math.min(measured.downBitsPerS, downloadBitsPerS ?? Infinity),
      measuredMs: measured.measuredMs,
    }
  }
  return {
    chosen,
    limits,
    link,
    linkRates() {
      const line = link()
      // A limit that the chef set is the best guess of a line that nobody has measured.
      const known = swarmLimitsOf(chosen())
      const up = line ? line.upBitsPerS / 8 : known.uploadBytesPerS
      const down = line ? line.downBitsPerS / 8 : known.downloadBytesPerS
      return {
        ...(up === undefined ? {} : { uploadBytesPerS: Math.round(up) }),
        ...(down === undefined ? {} : { downloadBytesPerS: Math.round(down) }),
      }
    },
    apply(next) {
      windows = next.schedule.map(parseWindow)
      usual = next
    },
    hold(next, forMs) {
      wish = { limits: next, untilMs: clock.nowMs() + forMs }
    },
    measured({ upBitsPerS, downBitsPerS }) {
      measured = { upBitsPerS, downBitsPerS, measuredMs: Math.max(0, Math.round(wallMs())) }
      headroom.measured(upBitsPerS / 8)
      const shown = (bits: number): string => formatBitRate(Math.round(bits / 1e5) * 1e5)
      const [up, down] = [shown(upBitsPerS), shown(downBitsPerS)]
      logger.info({ up, down }, 'the line was measured')
    },
    newPath: () => headroom.newPath(),
    roundTrip: (ms) => headroom.roundTrip(ms, clock.nowMs()),
    isQuiet: () => clock.nowMs() - movedMs >= quietMs,
    async run(swarm, ping, signal) {
      let before = swarm.stats()
      let inForce = limits()
      swarm.setLimits(inForce)
      while (!signal.aborted) {
        const isSending = clock.nowMs() - sentMs < afterwardsMs
        await clock.sleep(isSending ? sendingMs : idleMs, { signal }).catch(() => undefined)
        if (signal.aborted) return
        const nowMs = clock.nowMs()
        const now = swarm.stats()
        const sent = now.uploadedBytes - before.uploadedBytes
        if (sent > 0) sentMs = nowMs
        if (sent > 0 || now.downloadedBytes > before.downloadedBytes) movedMs = nowMs
        before = now
        rate = headroom.step(wireBytes(sent), nowMs)
        if (sent > 0 && chosen().uploadBitsPerS === undefined) ping()
        const next = limits()
        if (!isNear(inForce, next)) {
          swarm.setLimits(next)
          inForce = next
        }
      }
    },
  }
}

function isNear(a: SwarmLimits, b: SwarmLimits): boolean {
  const near = (x: number | undefined, y: number | undefined): boolean =>
    x === y || (x !== undefined && y !== undefined && Math.abs(x - y) < x * noticeableShare)
  const isSame = a.downloadBytesPerS === b.downloadBytesPerS && a.gentle === b.gentle
  return isSame && near(a.uploadBytesPerS, b.uploadBytesPerS)
}
