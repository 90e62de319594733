/**
 * Who may have chunks of a bundle: caches, nodes that hold it whole, and nodes that fetch it too.
 * Told with each order, and again to those that fetch whenever the answer changes: without it the
 * first homes of a swarm would never hear of the later ones, and the cache would serve them all.
 */
import type { BundleId, PeerId, SlotId } from '../../protocol/ids.ts'
import type { PeerHint } from '../../protocol/orders/index.ts'
import { drawOf, Ring } from '../scheduler/index.ts'
import type { Sessions } from '../sessions/index.ts'
import type { SlotBook } from './slot-book.ts'

export interface Holders {
  hintsFor(bundle: BundleId, audience: PeerId): readonly PeerHint[]
  /** What the node holds, or is to hold, may have changed. */
  touch(node: PeerId): void
  /** Tells those that fetch what has changed for them since they were told. */
  share(): void
}

/** Neighbours enough for a swarm to be well connected (swarm.md 2.3), and what a message holds. */
const hintsMax = 32
/** Of a swarm of thousands so many are ranked, beginning at a place of the audience's own. */
const rankedMax = 128

export function createHolders({
  book,
  sessions,
}: Readonly<{
  book: Pick<SlotBook, 'slots' | 'starting' | 'on'>
  sessions: Pick<Sessions, 'nodes' | 'caches' | 'send'>
}>): Holders {
  const told = new Map<SlotId, string>()
  const byBundle = new Map<BundleId, Ring<PeerId>>()
  const bundlesOf = new Map<PeerId, ReadonlySet<BundleId>>()

  const touch = (node: PeerId): void => {
    const bundles = new Set<BundleId>()
    for (const { placement } of book.on(node)) {
      if (placement?.node === node) bundles.add(placement.bundle)
    }
    const state = sessions.nodes.get(node)
    if (state?.connected) for (const bundle of state.bundles) bundles.add(bundle)
    for (const bundle of bundlesOf.get(node) ?? []) {
      if (bundles.has(bundle)) continue
      const ring = byBundle.get(bundle)
      ring?.delete(node)
      if (ring?.size === 0) byBundle.delete(bundle)
    }
    for (const bundle of bundles) {
      const ring = byBundle.get(bundle) ?? new Ring<PeerId>()
      ring.add(node)
      byBundle.set(bundle, ring)
    }
    if (bundles.size > 0) bundlesOf.set(node, bundles)
    else bundlesOf.delete(node)
  }
  const hintsFor = (bundle: BundleId, audience: PeerId): readonly PeerHint[] => {
    const hints: (PeerHint & { readonly rank: number })[] = []
    const offer = (peer: PeerId, isCache: boolean): void => {
      const state = isCache ? sessions.caches.get(peer) : sessions.nodes.get(peer)
      if (peer === audience || !state?.isHere || state.addrs.length === 0) return
      // Caches first; of the rest each is told others, and the same ones each time.
      const rank = isCache ? -1 : drawOf(`${audience} ${peer}`)
      hints.push({ peer, addrs: [...state.addrs], rank })
    }
    for (const { node, connected, bundles } of sessions.caches.values()) {
      if (connected && bundles.has(bundle)) offer(node, true)
    }
    const ring = byBundle.get(bundle)
    if (ring) for (const peer of ring.from(drawOf(audience), rankedMax)) offer(peer, false)
    return hints
      .sort((a, b) => a.rank - b.rank)
      .slice(0, hintsMax)
      .map(({ peer, addrs }) => ({ peer, addrs }))
  }
  const nodes = new Set(sessions.nodes.keys())
  for (const { placement } of book.slots.values()) if (placement) nodes.add(placement.node)
  for (const node of nodes) touch(node)

  return {
    hintsFor,
    touch,
    share() {
      if (book.starting.size === 0) {
        told.clear()
        return
      }
      for (const slot of book.starting) {
        const placement = book.slots.get(slot)?.placement
        if (!placement || !sessions.nodes.get(placement.node)?.connected) continue
        const { bundle, node } = placement
        const hints = hintsFor(bundle, node)
        const key = `${placement.fence.epoch} ${hints.map(({ peer }) => peer).join()}`
        if (hints.length === 0 || told.get(slot) === key) continue
        if (sessions.send(node, { type: 'holders', bundle, hints: [...hints] })) told.set(slot, key)
      }
    },
  }
}
