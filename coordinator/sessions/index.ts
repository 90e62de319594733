/** Sessions: the coordinator's end of every peer's control stream. */
export { createAccusations } from './accusations.ts'
export { type CountryOf, type CountryPrefix, createCountries, readCountries } from './countries.ts'
export { SessionRefusedError } from './errors.ts'
export type { HouseholdLimits } from './household-door.ts'
export { listNodes, type NodeListing } from './list-nodes.ts'
export { type OpenAllocation, PeerState } from './peer-state.ts'
export type { Session, SessionNumbers } from './session.ts'
export {
  type CacheMessage,
  createSessions,
  type SessionDesk,
  type Sessions,
  type SessionsComponents,
} from './sessions.ts'
