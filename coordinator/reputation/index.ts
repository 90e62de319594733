/** Reputation: probation, faults and what follows from them, accusations weighed, a household's share. */
export { type HouseholdMember, shareOut } from './household-share.ts'
export {
  openReputation,
  type Reputation,
  type ReputationComponents,
  type Standing,
} from './reputation.ts'
