/** Homes as they are: behind NAT, and reached all the same. */
export { askDialBack, openVerdict } from './ask-dial-back.ts'
export { type Verdict, verdictCodec } from './dial-back-wire.ts'
export {
  type HelperComponents,
  type HomeComponents,
  type HomeReach,
  type HomesInit,
  startHelper,
  startHome,
} from './homes.ts'
export { createKeyedRate, type KeyedRate } from './keyed-rate.ts'
export { type Reach, type Reachability, unknownReach } from './reach.ts'
