/**
 * Members of a swarm name one another, so that a newcomer who knows one holder soon knows enough
 * of them: hints go stale, and the DHT takes seconds. Only peers that showed a valid ticket for
 * the bundle are named, and only to such peers: who wants what stays among those who want it.
 * Source: BitTorrent's BEP 11 (ut_pex), with its limits.
 */
import { multiaddr } from '@multiformats/multiaddr'
import type { PeerId } from '../ids.ts'
import type { PeerAddress } from '../mesh/index.ts'
import type { Guest } from './guest.ts'
import { exchangedAddressesMax, exchangedPeersMax } from './wire.ts'

/** After the first, a guest is told of new members at most so often. */
export const exchangeMs = 30_000
/** A peer whose clock runs a little fast is no flood. */
const earlyMs = exchangeMs / 2
/** Messages that may come early before they are one: a stream that breaks begins anew. */
const earlyMax = 3
const addressLengthMax = 256

/** A peer that came just now is identified a moment later: its addresses are looked up again. */
const retryMs = 1_000
/** With the first message and its retries a guest stays within what counts as a flood. */
const retriesMax = 2

type Member = {
  readonly guest: Guest
  readonly told: Set<PeerId>
  nextAtMs: number
  retries: number
}

export type PeerExchangeComponents = Readonly<{
  /** The addresses by which a peer is known to the mesh. */
  addressesOf: (peer: PeerId) => Promise<readonly string[]>
  /** Uniform in [0, 1). */
  random: () => number
}>

/** The members of one bundle's swarm that have joined it here. */
export class PeerExchange {
  readonly #with: PeerExchangeComponents
  readonly #members = new Map<Guest, Member>()

  constructor(components: PeerExchangeComponents) {
    this.#with = components
  }

  get size(): number {
    return this.#members.size
  }

  has(peer: PeerId): boolean {
    for (const guest of this.#members.keys()) if (guest.peer === peer) return true
    return false
  }

  /** A guest showed its ticket: it is told of others at once, and they of it in their turn. */
  enter(guest: Guest, nowMs: number): void {
    if (this.#members.has(guest)) return
    const member: Member = { guest, told: new Set([guest.peer]), nextAtMs: nowMs, retries: 0 }
    this.#members.set(guest, member)
    void this.#tell(member, nowMs)
  }

  leave(guest: Guest): void {
    this.#members.delete(guest)
  }

  /** Tells those whose turn it is. Call now and then. */
  tick(nowMs: number): void {
    for (const member of this.#members.values()) {
      if (nowMs >= member.nextAtMs) void this.#tell(member, nowMs)
    }
  }

  async #tell(member: Member, nowMs: number): Promise<void> {
    const { guest, told } = member
    const peers: PeerAddress[] = []
    const drawn = this.#draw(told)
    member.nextAtMs = nowMs + exchangeMs
    for (const peer of drawn) {
      const addresses = await this.#with.addressesOf(peer).catch(() => [])
      if (addresses.length === 0) continue
      told.add(peer)
      peers.push({ peer, addresses: addresses.slice(0, exchangedAddressesMax) })
    }
    if (peers.length < drawn.length && member.retries < retriesMax) {
      member.retries += 1
      member.nextAtMs = nowMs + retryMs
    }
    if (peers.length > 0 && this.#members.has(guest)) guest.name(peers)
  }

  #draw(told: ReadonlySet<PeerId>): PeerId[] {
    const fresh = new Set<PeerId>()
    for (const { peer } of this.#members.keys()) if (!told.has(peer)) fresh.add(peer)
    const drawn = [...fresh]
    for (let at = 0; at < Math.min(drawn.length, exchangedPeersMax); at++) {
      const from = at + Math.floor(this.#with.random() * (drawn.length - at))
      const [here, there] = [drawn[at] as PeerId, drawn[from] as PeerId]
      drawn[at] = there
      drawn[from] = here
    }
    return drawn.slice(0, exchangedPeersMax)
  }
}

/** What one sender names, kept within bounds. */
export class ExchangeIntake {
  #lastMs = Number.NEGATIVE_INFINITY
  #early = 0

  /** Whether a message comes within the agreed pace; a few early ones are let pass. */
  admit(nowMs: number): boolean {
    if (nowMs - this.#lastMs < earlyMs) this.#early += 1
    this.#lastMs = nowMs
    return this.#early <= earlyMax
  }
}

/** The peers of a message without addresses that are none, or are another peer's. */
export function plausiblePeers(peers: readonly PeerAddress[]): PeerAddress[] {
  return peers
    .map(({ peer, addresses }) => ({
      peer,
      addresses: addresses.filter((address) => isPlausible(address, peer)),
    }))
    .filter(({ addresses }) => addresses.length > 0)
}

function isPlausible(text: string, peer: PeerId): boolean {
  if (text.length > addressLengthMax) return false
  try {
    const parts = multiaddr(text).getComponents()
    const last = parts.at(-1)
    // Behind a relay the relay is named too: the last name says whose address it is.
    const named = last?.name === 'p2p' ? last.value : undefined
    const host = parts[0]?.name ?? ''
    return ['ip4', 'ip6', 'dns', 'dns4', 'dns6'].includes(host) && (!named || named === peer)
  } catch {
    return false
  }
}
