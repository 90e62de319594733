/**
 * Who may have chunks of a bundle: caches, nodes that hold it whole, and nodes that fetch it too.
 * Told with each order, and again to those that fetch whenever the answer changes: without it the
 * first homes of a swarm would never hear of the later ones, and the cache would serve them all.
 */
import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { BundleId, PeerId, SlotId } from '../../protocol/ids.ts'
import type { PeerHint } from '../../protocol/orders/index.ts'
import type { Sessions } from '../sessions/index.ts'
import type { SlotBook } from './slot-book.ts'

export interface Holders {
  hintsFor(bundle: BundleId, audience: PeerId): readonly PeerHint[]
  /** Tells those that fetch what has changed for them since they were told. */
  share(): void
}

/** Neighbours enough for a swarm to be well connected (swarm.md 2.3), and what a message holds. */
const hintsMax = 32

/** So old may the answer to "who holds it" be: a walk over all slots and nodes is not for each order. */
const freshMs = 1_000

export function createHolders({
  book,
  sessions,
  nowMs,
}: Readonly<{
  book: Pick<SlotBook, 'slots'>
  sessions: Pick<Sessions, 'nodes' | 'caches' | 'send'>
  nowMs: () => number
}>): Holders {
  const told = new Map<SlotId, string>()
  const drawOf = createDraws()
  let known: ReadonlyMap<BundleId, ReadonlySet<PeerId>> = new Map()
  let knownMs = Number.NEGATIVE_INFINITY

  const holdersOf = (): ReadonlyMap<BundleId, ReadonlySet<PeerId>> => {
    if (nowMs() - knownMs < freshMs) return known
    const byBundle = new Map<BundleId, Set<PeerId>>()
    const add = (bundle: BundleId, node: PeerId): void => {
      const peers = byBundle.get(bundle) ?? new Set()
      byBundle.set(bundle, peers.add(node))
    }
    for (const { placement } of book.slots.values()) {
      if (placement) add(placement.bundle, placement.node)
    }
    for (const all of [sessions.caches, sessions.nodes]) {
      for (const { node, connected, bundles } of all.values()) {
        if (connected) for (const bundle of bundles) add(bundle, node)
      }
    }
    known = byBundle
    knownMs = nowMs()
    return byBundle
  }
  const hintsAmong = (peers: Iterable<PeerId>, audience: PeerId): readonly PeerHint[] => {
    const ranked: Readonly<{ peer: PeerId; addrs: readonly string[]; rank: number }>[] = []
    for (const peer of peers) {
      const cache = sessions.caches.get(peer)
      const state = cache ?? sessions.nodes.get(peer)
      if (peer === audience || !state?.isHere || state.addrs.length === 0) continue
      // Caches first; of the rest each is told others, and the same ones each time.
      ranked.push({ peer, addrs: state.addrs, rank: cache ? -1 : drawOf(audience, peer) })
    }
    return ranked
      .sort((a, b) => a.rank - b.rank)
      .slice(0, hintsMax)
      .map(({ peer, addrs }) => ({ peer, addrs: [...addrs] }))
  }
  return {
    hintsFor: (bundle, audience) => hintsAmong(holdersOf().get(bundle) ?? [], audience),
    share() {
      const fetching = [...book.slots.values()].filter(({ placement }) => {
        const state = placement?.state
        return state === 'ordered' || state === 'accepted' || state === 'downloading'
      })
      if (fetching.length === 0) {
        told.clear()
        return
      }
      const byBundle = holdersOf()
      for (const { slot, placement } of fetching) {
        if (!placement || !sessions.nodes.get(placement.node)?.connected) continue
        const { bundle, node } = placement
        const hints = hintsAmong(byBundle.get(bundle) ?? [], node)
        const key = `${placement.fence.epoch} ${hints.map(({ peer }) => peer).join()}`
        if (hints.length === 0 || told.get(slot) === key) continue
        if (sessions.send(node, { type: 'holders', bundle, hints: [...hints] })) told.set(slot, key)
      }
    },
  }
}

const drawsMax = 50_000

/**
 * A number of two peers, in [0, 2^32): the same each time, and another for each pair. A peer is
 * hashed once and pairs are mixed (rendezvous hashing, Thaler and Ravishankar 1998): among n homes
 * that fetch there are n² of them.
 */
function createDraws(): (audience: PeerId, peer: PeerId) => number {
  const numbers = new LRUCache<PeerId, number>({ max: drawsMax })
  const numberOf = (peer: PeerId): number => {
    let number = numbers.get(peer)
    if (number === undefined) {
      number = createHash('sha256').update(peer).digest().readUInt32LE(0)
      numbers.set(peer, number)
    }
    return number
  }
  return (audience, peer) => {
    // The finalizer of MurmurHash3 (Appleby): each bit of either changes half of the result's.
    let mixed = numberOf(audience) ^ Math.imul(numberOf(peer), 0x9e3779b1)
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b)
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
    return (mixed ^ (mixed >>> 16)) >>> 0
  }
}
