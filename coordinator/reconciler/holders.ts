/**
 * Who may have chunks of a bundle: caches, nodes that hold it whole, and nodes that fetch it too.
 * Told with each order, and again to those that fetch whenever the answer changes: without it the
 * first homes of a swarm would never hear of the later ones, and the cache would serve them all.
 */
import { createHash } from 'node:crypto'
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

export function createHolders({
  book,
  sessions,
}: Readonly<{
  book: Pick<SlotBook, 'slots'>
  sessions: Pick<Sessions, 'nodes' | 'caches' | 'send'>
}>): Holders {
  const told = new Map<SlotId, string>()

  const holdersOf = (): ReadonlyMap<BundleId, ReadonlySet<PeerId>> => {
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
    return byBundle
  }
  const hintsAmong = (peers: Iterable<PeerId>, audience: PeerId): readonly PeerHint[] => {
    const hints: (PeerHint & { readonly rank: string })[] = []
    for (const peer of peers) {
      const cache = sessions.caches.get(peer)
      const state = cache ?? sessions.nodes.get(peer)
      if (peer === audience || !state?.isHere || state.addrs.length === 0) continue
      // Caches first; of the rest each is told others, and the same ones each time.
      const draw = createHash('sha256').update(`${audience} ${peer}`).digest('hex')
      hints.push({ peer, addrs: [...state.addrs], rank: cache ? '' : draw })
    }
    return hints
      .sort((a, b) => (a.rank < b.rank ? -1 : 1))
      .slice(0, hintsMax)
      .map(({ peer, addrs }) => ({ peer, addrs }))
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
