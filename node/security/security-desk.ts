/**
 * Takes alarms. First it stops, by itself, what is suspect (everything, where the host is); at once
 * it writes the report down and tells the coordinator, again and again until that has it. A node
 * that is cut off must not let a workload run on, a crash must not lose the alarm, and the
 * coordinator must hear it before it hears of the end, or it would start the same elsewhere.
 */
import type { SecurityReport } from '../../protocol/control/index.ts'
import { SecurityReportSchema } from '../../protocol/control/index.ts'
import type { SlotId } from '../../protocol/ids.ts'
import type { Logger } from '../../protocol/log/index.ts'
import { collection, type Store } from '../../protocol/store/index.ts'
import type { Allocations } from '../allocations/index.ts'
import { ReportInvalidError } from './errors.ts'
import type { ReportOutcome, ReportSecurity } from './types.ts'

export interface SecurityDesk {
  readonly report: ReportSecurity
  /** Sends what the coordinator may not have: on each new stream. */
  resend(): void
  /** The coordinator has it. */
  taken(id: string): Promise<void>
}

export type SecurityDeskComponents = Readonly<{
  store: Store
  allocations: Pick<Allocations, 'stopNow' | 'stopAll'> & {
    readonly docket: Pick<Allocations['docket'], 'entries'>
  }
  send: (report: SecurityReport) => void
  /** UUIDs. */
  newId: () => string
  wallMs: () => number
  logger: Logger
}>

/** An instance that is suspect is stopped within this; the report waits no longer for it. */
export const stopMs = 500
/** Reports kept for a coordinator that is away; more say the same, and the first are the cause. */
const keptMax = 64

/**
 * Loads what was not taken yet. A host that was found suspect before a restart still is: it takes no
 * orders before the coordinator has heard of it.
 */
export async function openSecurityDesk(components: SecurityDeskComponents): Promise<SecurityDesk> {
  const { store, allocations, send, newId, wallMs, logger } = components
  const records = collection(store, 'security-reports', SecurityReportSchema)
  const kept = new Map<string, SecurityReport>()
  for await (const [id, report] of records.entries()) kept.set(id, report)

  const stopAll = (rule: string): Promise<void> =>
    allocations.stopAll({ code: 'SECURITY_ALERT', message: `this host is suspect: ${rule}` }, 0)
  const isHostSuspect = [...kept.values()].find(({ evidence }) => evidence.suspect === 'host')
  if (isHostSuspect) await stopAll(isHostSuspect.evidence.rule)

  const keep = async (report: SecurityReport): Promise<void> => {
    if (kept.size >= keptMax) {
      logger.error(
        { report },
        'too many alarms are waiting for the coordinator; this one is not kept',
      )
      return
    }
    kept.set(report.id, report)
    await records.put(report.id, report)
  }
  return {
    async report(evidence): Promise<ReportOutcome> {
      const { suspect, slot, rule, sensor } = evidence
      const here = allocations.docket.entries().map(({ order }) => order.slot)
      if (suspect === 'workload' && (slot === undefined || !here.includes(slot))) {
        throw new ReportInvalidError(
          `slot ${slot ?? '(none)'} does not run here; running: ${here.join(', ') || 'nothing'}`,
        )
      }
      const slots: readonly SlotId[] = suspect === 'host' ? here : slot ? [slot] : []
      const fault = { code: 'SECURITY_ALERT', message: `stopped by an alarm of ${sensor}: ${rule}` }
      const stopping = suspect === 'host' ? stopAll(rule) : allocations.stopNow(slots, fault)
      const report: SecurityReport = {
        ...{ type: 'security-report', id: newId(), seenMs: wallMs(), evidence },
      }
      logger.error({ ...evidence, slots, report: report.id }, 'a security alarm: stopping')
      const told = keep(report).finally(() => send(report))
      const [stopped] = await Promise.all([within(stopping, stopMs), told])
      if (!stopped) logger.error({ slots }, 'the engine is slow to stop what is suspect')
      return { id: report.id, slots, stopped }
    },
    resend() {
      for (const report of kept.values()) send(report)
    },
    async taken(id) {
      if (kept.delete(id)) await records.delete(id)
    },
  }
}

/** Whether `work` is done within `ms`; it goes on in any case. */
async function within(work: Promise<void>, ms: number): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<boolean>()
  const timer = setTimeout(() => resolve(false), ms)
  try {
    return await Promise.race([work.then(() => true), late])
  } finally {
    clearTimeout(timer)
  }
}
