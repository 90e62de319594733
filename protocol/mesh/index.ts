/** The mesh: identity, one libp2p host a process, topics, and links that are kept. */
export { type CapacityAdvert, CapacityAdvertSchema, decodeAdvert, encodeAdvert } from './advert.ts'
export { type AdvertFeed, createAdvertFeed, createAdvertPublisher } from './advert-topic.ts'
export {
  createMesh,
  disconnect,
  type Mesh,
  type MeshComponents,
  type MeshInit,
} from './create-mesh.ts'
export { PeerUnreachableError, WrongAuthorError } from './errors.ts'
export { peerIdOf, toLibp2pPeerId } from './identity.ts'
export type { Detour, MeshInner } from './inner.ts'
export type { MeshRole } from './limits.ts'
export {
  createLink,
  type DialOptions,
  dialPeer,
  isRelayed,
  type Link,
  type PeerAddress,
} from './link.ts'
export { bansTopic, capacityTopic, type Region, RegionSchema } from './topics.ts'
