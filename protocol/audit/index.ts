/** Heads of the coordinator's audit log, as peers see and keep them. */
export { AuditHeadMismatchError, AuditSplitError } from './errors.ts'
export {
  type AuditHead,
  type AuditProof,
  AuditProofSchema,
  auditHeadCodec,
  auditProofCodec,
  type HeadVerdict,
  judgeAuditHead,
  openAuditProof,
} from './head.ts'
