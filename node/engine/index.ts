/** The container engine: Docker, one of the node's own, and the fake that keeps its promises. */
export { createOptions } from './create-options.ts'
export {
  createDockerEngine,
  type DockerEngineComponents,
  type DockerEngineInit,
  defaultDns,
} from './docker-engine.ts'
export type * from './engine.ts'
export { EngineError, type EngineErrorCode } from './errors.ts'
export { minimumToolkitVersion, readToolkitVersion } from './gpu-toolkit.ts'
export type { Isolation, IsolationTarget } from './isolation.ts'
export * from './managed/index.ts'
export {
  createSimulatedEngine,
  type SimulatedEngineInit,
  type SimulatedProgram,
} from './simulated-engine.ts'
