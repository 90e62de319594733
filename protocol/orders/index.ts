/** Orders: what the coordinator signs, how a receiver verifies it, and when it applies. */
export {
  type BanNews,
  BanNewsSchema,
  banChangesMax,
  banListAfter,
  banNewsCodec,
  banNewsOf,
  sortedBans,
} from './ban-news.ts'
export { type OrderRefusal, OrderRefusedError } from './errors.ts'
export {
  type AllocationContext,
  judgeAllocation,
  judgeBanList,
  judgeRevocation,
  judgeRoster,
  judgeTicket,
  type SlotMemory,
  skewMs,
} from './judge.ts'
export * from './schemas.ts'
export { createTermKeeper, openTermCertificate, type TermKeeper } from './term-keeper.ts'
