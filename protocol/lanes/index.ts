/** Lanes: bytes of a stream that pass by the muxer, over a connection that both ends know how to share. */

export { laneNoise, laneNoiseProtocol } from './lane-noise.ts'
export { laneOf, placeStream } from './lane-of.ts'
export { missingBytesOn, SecuredConnection } from './secured-connection.ts'
