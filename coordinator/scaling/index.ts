/** Scheduled replica counts: schedules, and what acts on them. */
export { scheduleProblem } from './schedule-problem.ts'
export { startScheduledScaling } from './scheduled-scaling.ts'
