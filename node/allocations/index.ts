/** Allocations: the orders this node obeys, and the instances that run for them. */
export {
  type Allocations,
  type AllocationsComponents,
  type AllocationsInit,
  createAllocations,
} from './allocations.ts'
export { createImageFetcher, type ImageFetcher } from './image-fetcher.ts'
export { openSlotBook, type SlotBook } from './slot-book.ts'
