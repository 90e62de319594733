/** Alarms: what is suspect is stopped at once, and the coordinator is told. */
export { type AlarmAnswer, type AlarmRequest, raiseAlarm, serveAlarms } from './report-socket.ts'
export {
  openSecurityDesk,
  type SecurityDesk,
  type SecurityDeskComponents,
} from './security-desk.ts'
export type { ReportOutcome, ReportSecurity, SecuritySensor } from './types.ts'
