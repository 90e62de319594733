/** Chefs: accounts that own nodes, and the codes that bind a node to one. */
export { type Chef, type Chefs, type Claim, type Owner, openChefs } from './chefs.ts'
export { type ClaimDesk, createClaimDesk } from './claim-desk.ts'
