/** Leases as a node sees them: until when each instance may run, and how to find out. */
export { judgeLease, type Verdict, type Word } from './judge-lease.ts'
export { createLeaseWatch, type LeaseWatch } from './lease-watch.ts'
