/** Alarms of nodes: suspect hosts are banned, suspect workloads' groups held for review. */
export {
  openSecurityReview,
  type Reporter,
  type SecurityReview,
  type SecurityReviewComponents,
} from './review.ts'
export { type Hold, type ReportOutcome, type ReportRecord, reportOutcomes } from './types.ts'
