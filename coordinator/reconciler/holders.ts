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
/** Of a swarm of thousands so many are looked at, from a place of the audience's own on. */
const askedMax = 256
/** So many are told a second: each costs a look at the swarm and a message. */
const sharesMax = 256

export function createHolders({
  book,
  sessions,
}: Readonly<{
  book: Pick<SlotBook, 'slots' | 'starting' | 'on'>
  sessions: Pick<Sessions, 'nodes' | 'caches' | 'send'>
}>): Holders {
  const told = new Map<SlotId, Readonly<{ epoch: number; count: number; peers: string }>>()
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
    const hints: PeerHint[] = []
    // Caches first.
    for (const { node, connected, bundles, isHere, addrs } of sessions.caches.values()) {
      const isIt = connected && isHere && bundles.has(bundle) && node !== audience
      if (isIt && addrs.length > 0) hints.push({ peer: node, addrs: [...addrs] })
    }
    // Of the rest each is told others, and the same ones each time.
    for (const peer of byBundle.get(bundle)?.from(drawOf(audience), askedMax) ?? []) {
      if (hints.length >= hintsMax) break
      const state = sessions.nodes.get(peer)
      if (peer === audience || !state?.isHere || state.addrs.length === 0) continue
      hints.push({ peer, addrs: [...state.addrs] })
    }
    return hints.slice(0, hintsMax)
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
      let left = sharesMax
      for (const slot of book.starting) {
        const placement = book.slots.get(slot)?.placement
        if (!placement || !sessions.nodes.get(placement.node)?.connected) continue
        const { bundle, node, fence } = placement
        const before = told.get(slot)
        // Who knows as many as it may is well connected.
        if (before?.epoch === fence.epoch && before.count === hintsMax) continue
        if (left-- <= 0) return
        const hints = hintsFor(bundle, node)
        const peers = hints.map(({ peer }) => peer).join()
        const isNew = before?.epoch !== fence.epoch || before.peers !== peers
        if (hints.length === 0 || !isNew) continue
        const isSent = sessions.send(node, { type: 'holders', bundle, hints: [...hints] })
        if (isSent) told.set(slot, { epoch: fence.epoch, count: hints.length, peers })
      }
    },
  }
}
