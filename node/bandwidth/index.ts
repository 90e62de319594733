/** The chef's bandwidth is theirs: limits, their hours, headroom by default, and the line's speed. */
export {
  type Bandwidth,
  type BandwidthComponents,
  type BandwidthSettings,
  createBandwidth,
} from './bandwidth.ts'
export {
  askLimits,
  type LimitsAnswer,
  type LimitsRequest,
  serveLimits,
} from './limits-socket.ts'
export { createLinkTester, type LinkTester } from './link-tester.ts'
export { createRoundTrips } from './round-trips.ts'
export { type Limits, leastBitsPerS, parseWindow } from './schedule.ts'
