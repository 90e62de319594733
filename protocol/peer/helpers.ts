/**
 * Who helps this peer to be reached, and whom it helps: the coordinator and the roster's caches and
 * relays on one side; on the other those that have shown a ticket here, and so are of this network.
 */
import { LRUCache } from 'lru-cache'
import type { PeerId } from '../ids.ts'
import type { PeerAddress } from '../mesh/index.ts'
import type { HomeReach } from '../nat/index.ts'
import type { Network } from '../network/index.ts'
import type { TermKeeper } from '../orders/index.ts'
import type { VerifyTicket } from '../swarm/index.ts'
import type { PeerLists } from './lists.ts'

const membersMax = 20_000

/** They dial back, relay and introduce: the coordinator, then caches, then relays. */
export function helpersOf({
  network,
  keeper,
  lists,
}: Readonly<{ network: Network; keeper: TermKeeper; lists: PeerLists }>): PeerAddress[] {
  const listed = [...lists.members('cache'), ...lists.members('relay')]
  return [
    { peer: keeper.coordinator, addresses: network.coordinatorAddrs },
    ...listed.map(({ peer, addrs }) => ({ peer, addresses: addrs })),
  ]
}

/** Whether others can dial this host, over either family. */
export function isDialable({ now }: HomeReach): boolean {
  return now.ipv4 === 'public' || now.ipv6 === 'public'
}

/** The verifier, and whether a peer has shown it a good ticket. */
export function rememberMembers(tickets: VerifyTicket): {
  readonly verify: VerifyTicket
  readonly has: (peer: PeerId) => boolean
} {
  const members = new LRUCache<PeerId, true>({ max: membersMax })
  return {
    verify(signed, peer, bundle) {
      const ticket = tickets(signed, peer, bundle)
      members.set(peer, true)
      return ticket
    },
    has: (peer) => members.has(peer),
  }
}
