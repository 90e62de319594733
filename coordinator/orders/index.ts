/** Orders: what the coordinator signs, and the lists that it keeps. */
export { type Lists, type ListsComponents, openLists } from './lists.ts'
export {
  type AllocationSpec,
  createOrderSigner,
  type OrderSigner,
  type OrderSignerComponents,
  orderHash,
  type SignedAllocation,
  ticketMs,
} from './order-signer.ts'
export { openPulses, type PulseFacts, type Pulses } from './pulses.ts'
