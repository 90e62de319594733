/** Scheduled replica counts: schedules, and what acts on them. */
export { startScheduledScaling } from './scheduled-scaling.ts'
