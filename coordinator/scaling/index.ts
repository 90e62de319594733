/** Scheduled replica counts: schedules, and what acts on them. */
export { parseSchedule, ScheduleInvalidError } from './schedule.ts'
export { startScheduledScaling } from './scheduled-scaling.ts'
