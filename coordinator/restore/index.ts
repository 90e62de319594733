/** Restore: terms, what was lost since a backup, and when a coordinator must order nothing. */
export { type Authority, type Doubt, NotInForceError, openAuthority } from './authority.ts'
export { createContinueBans } from './continue-bans.ts'
export { inspectHello } from './inspect-hello.ts'
export { DeposedError, openTerms, type Terms } from './terms.ts'
