/**
 * Whether a peer can be dialled, by the signed verdicts that it shows: only those count that this
 * coordinator or one of its caches gave. And what is told to others of its addresses then: without
 * it a swarm would spend its dials on public addresses that a router answers for nobody.
 */
import { isPrivate } from '@libp2p/utils'
import { multiaddr } from '@multiformats/multiaddr'
import type { Reach } from '../../protocol/control/index.ts'
import type { PeerId } from '../../protocol/ids.ts'
import { isRelayed } from '../../protocol/mesh/index.ts'
import { openVerdict, unknownReach } from '../../protocol/nat/index.ts'
import type { Signed } from '../../protocol/wire/index.ts'

/** What `verdicts` say of `peer`; `trusts`: whose word counts. */
export function readReach(
  verdicts: readonly Signed[],
  { peer, trusts }: Readonly<{ peer: PeerId; trusts: (by: PeerId) => boolean }>,
): Reach {
  const reach = { ...unknownReach }
  for (const signed of verdicts) {
    try {
      const verdict = openVerdict(signed)
      if (verdict.peer !== peer || !trusts(verdict.by)) continue
      const family = verdict.ip.includes(':') ? 'ipv6' : 'ipv4'
      reach[family] = verdict.open.length > 0 ? 'public' : 'nat'
    } catch {
      // A verdict that cannot be read says nothing; the peer is dialled as if there were none.
    }
  }
  return reach
}

/** The addresses that are worth a dial: on a LAN, at a relay, or not known to be closed. */
export function worthDialling(addrs: readonly string[], reach: Reach): string[] {
  return addrs.filter((address) => {
    const family = address.startsWith('/ip6/') ? 'ipv6' : 'ipv4'
    const closed = /^\/ip[46]\//.test(address) && reach[family] === 'nat'
    return isRelayed(address) || !closed || isPrivate(multiaddr(address))
  })
}
