/** An engine of the node's own. */
export type { PoolInit } from './commands.ts'
export {
  createManagedEngine,
  defaultPool,
  type ManagedEngine,
  type ManagedEngineComponents,
  type ManagedEngineInit,
} from './managed-engine.ts'
