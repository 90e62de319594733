/** The node: the daemon on a chef's machine. */
export { configSchema, type NodeConfig } from './config.ts'
export { runNode as run } from './daemon/daemon.ts'
export { bandwidthProblems as checkConfig } from './daemon/line.ts'
