/** The network: its file, which pins the root key, and how a new one is made. */
export { type CreateNetworkInit, createNetwork, type NewNetwork } from './create-network.ts'
export { createHouseholds, createNetworkOf, type HouseholdOf } from './households.ts'
export {
  formatNetworkFile,
  type Network,
  NetworkFileError,
  networkIdOf,
  parseNetworkFile,
  readNetworkFile,
} from './network-file.ts'
export { observedIp } from './observed-ip.ts'
export { type RaiseTermInit, raiseTerm } from './raise-term.ts'
