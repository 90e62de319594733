/** The guard: what stops instances when the daemon cannot. */
export {
  createGuard,
  type Guard,
  type GuardInit,
  type GuardTime,
  type KnownWorld,
  rememberedGuard,
} from './guard.ts'
