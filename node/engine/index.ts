/** The container engine: Docker, one of the node's own, and the fake that keeps its promises. */
export {
  createDockerEngine,
  type DockerEngineComponents,
  type DockerEngineInit,
} from './docker-engine.ts'
export type * from './engine.ts'
export type { Isolation, IsolationTarget } from './isolation.ts'
export * from './managed/index.ts'
export {
  createSimulatedEngine,
  type SimulatedEngineInit,
  type SimulatedProgram,
} from './simulated-engine.ts'
