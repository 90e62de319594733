/** Between Potluck's name of a peer and libp2p's object for it. Keys are protocol/identity's. */
import type { PeerId as Libp2pPeerId } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import type { PeerId } from '../ids.ts'

/** Potluck's name of a libp2p peer. */
export function peerIdOf(peer: Libp2pPeerId): PeerId {
  return peer.toString() as PeerId
}

/** libp2p's object for a peer. @throws when the text is not a peer id. */
export function toLibp2pPeerId(peer: PeerId): Libp2pPeerId {
  return peerIdFromString(peer)
}
