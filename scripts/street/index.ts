/** A street of homes with real engines and a real registry, on one machine. */
export { startEngine } from './engine.ts'
export { countLeftovers, findLeftovers, type Leftovers } from './leftovers.ts'
export type { Namespace } from './namespaces.ts'
export { connected, potluckCommand, ready } from './potluck.ts'
export {
  type Child,
  createProcesses,
  jsonLine,
  type Line,
  type Processes,
  pattern,
} from './processes.ts'
export { type Reach, reachInto } from './reach.ts'
export { type BlobReads, type Credentials, type Registry, startRegistry } from './registry.ts'
export { runCommand } from './run-command.ts'
export { createRunFolder, type RunFolder } from './run-folder.ts'
export { writeStreetSettings } from './settings.ts'
export { createStreet, type Home, type Host, type Street } from './street.ts'
