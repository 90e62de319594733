/** A peer: what a node and a cache have in common before they do anything of their own. */
export type { PeerControlHandlers, PeerFacts, PeerState } from './control.ts'
export { openPeerLists, type PeerLists } from './lists.ts'
export { createOneTimeKeys, type OneTimeKeys } from './one-time-keys.ts'
export { openPeer, type Peer, type PeerComponents, type PeerInit } from './peer.ts'
export { defaultRunDir } from './run-dir.ts'
export { openPeerTerm, type PeerTerm } from './term.ts'
export { createTicketVerifier } from './ticket-verifier.ts'
