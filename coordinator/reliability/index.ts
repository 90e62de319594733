/** How well nodes stayed: what the scheduler prefers among equals. */
export { openReliabilityBook, type ReliabilityBook } from './reliability-book.ts'
