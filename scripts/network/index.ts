/** The keys, the network file and the settings that let processes be one network; and its API. */
export { type CoordinatorFacts, readCoordinator } from './coordinator-facts.ts'
export { nodeFolders } from './files.ts'
export { type OwnSettings, type Place, type Settings, writeSettings } from './settings.ts'
export { writeNetwork, writePublic } from './write-network.ts'
export { type WriteTermInit, writeTerm } from './write-term.ts'
