/** Security as the node sees it: who may raise an alarm, and what becomes of it. */
import type { SecurityEvidence } from '../../protocol/control/index.ts'
import type { SlotId } from '../../protocol/ids.ts'

/** What was done about a report. */
export type ReportOutcome = Readonly<{
  id: string
  /** Those told to stop. */
  slots: readonly SlotId[]
  /** Whether all of them were gone within the time that a stop may take. */
  stopped: boolean
}>

/** What a sensor, an operator's command or the node itself calls. */
export type ReportSecurity = (evidence: SecurityEvidence) => Promise<ReportOutcome>

/** Watches something (Falco's output, the firewall) and reports what it sees. */
export interface SecuritySensor {
  start(report: ReportSecurity): void
  stop(): Promise<void>
}
