/** Bans: who is refused, why and until when; the signed list, and how it is made known. */
export { type AuditEntry, type AuditSink, noAudit, sinkOf } from './audit-sink.ts'
export { type BanBook, type BanBookComponents, type BanChange, openBanBook } from './ban-book.ts'
export { BanNotFoundError } from './errors.ts'
export { type SpreadBansComponents, spreadBans } from './spread-bans.ts'
export {
  type BanReason,
  BanReasonSchema,
  type BanRecord,
  type BanRequest,
  type BanSource,
  BanSourceSchema,
  type Evidence,
  type UnbanRequest,
} from './types.ts'
