/** The guard: what stops instances when the daemon cannot. */
export { createGuard, type Guard, type GuardInit } from './guard.ts'
