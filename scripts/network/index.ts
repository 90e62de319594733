/** The keys, the network file and the settings that let processes be one network. */
export { nodeFolders } from './files.ts'
export { type OwnSettings, type Place, type Settings, writeSettings } from './settings.ts'
export { writeNetwork, writePublic } from './write-network.ts'
