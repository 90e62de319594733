/** The audit log: what was ordered, banned, let in and changed, in a chain that cannot be edited. */
export { type AuditLog, type AuditRecorder, openAuditLog } from './audit-log.ts'
export { auditedStore, tenantActs, type WatchedRecord } from './audited-store.ts'
export { type AuditAct, type AuditEntry, auditEntryCodec } from './entry.ts'
export { auditSourceOf, exportAudit, openAuditFile } from './file.ts'
export { startHeadPublisher } from './publisher.ts'
export { type AuditSource, type AuditVerdict, verifyAudit } from './verify.ts'
export { createAuditWitness } from './witness.ts'
