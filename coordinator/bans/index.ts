/** Bans: who is refused, why and until when; the signed list, and how it is made known. */
export { type AuditEntry, type AuditSink, noAudit } from './audit-sink.ts'
export { type BanBook, type BanBookComponents, type BanChange, openBanBook } from './ban-book.ts'
export { isShielded } from './decide.ts'
export { BanNotFoundError, BanRefusedError } from './errors.ts'
export { type SpreadBansComponents, spreadBans } from './spread-bans.ts'
export {
  type BanReason,
  BanReasonSchema,
  type BanRecord,
  type BanRequest,
  type BanSource,
  BanSourceSchema,
  banReasons,
  banSources,
  type Evidence,
  type UnbanRequest,
} from './types.ts'
