/** Restore: terms, what was lost since a backup, and when a coordinator must order nothing. */
export { type Authority, NotInForceError } from './authority.ts'
export { openRestore, type Restore } from './open-restore.ts'
export type { Terms } from './terms.ts'
