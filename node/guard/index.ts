/** The guard: what stops instances when the daemon cannot. */
export { createGuard, type Guard, type GuardInit, rememberedStopTimes } from './guard.ts'
