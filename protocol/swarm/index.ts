/** The swarm: chunks of encrypted bundles from peer to peer. */
export { createHolderIndex, type HolderIndex, holderKey } from './dht.ts'
export type { DownloadProgress } from './download.ts'
export {
  DownloadStoppedError,
  ProtocolBreachError,
  ReaderStalledError,
  RefusedError,
  TooManyRequestsError,
  WrongDescriptorError,
} from './errors.ts'
export { type SwarmLimits, swarmLimitsOf } from './line.ts'
export type { Misbehaviour, MisbehaviourKind } from './peer-book.ts'
export type { SeedShare } from './schedule/index.ts'
export type { TicketSource } from './senders.ts'
export type { BytesByKind, PeerTraffic, SwarmReport } from './stats.ts'
export {
  createSwarm,
  type Download,
  type DownloadRequest,
  type Swarm,
  type SwarmComponents,
  type SwarmInit,
  transferClock,
} from './swarm.ts'
export type { VerifyTicket } from './ticket-desk.ts'
export { chunksProtocol, type LinkRates, type RefusalCode } from './wire.ts'
export { wireBytes } from './wire-bytes.ts'
