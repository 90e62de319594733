/**
 * Who has misbehaved, and for how long they are not asked again. Being slow, away or empty-handed
 * is not in here: only what an honest peer never does.
 */
import { LRUCache } from 'lru-cache'
import type { BundleId, PeerId } from '../ids.ts'

/**
 * `wrong-chunk`: bytes that are not the named chunk. `wrong-descriptor`: the same of a descriptor.
 * `malformed`: not the protocol, or what nobody asked for. `flood`: more asked than may wait.
 */
export type MisbehaviourKind = 'wrong-chunk' | 'wrong-descriptor' | 'malformed' | 'flood'

/** What a peer did, with the facts that a report needs. Names are lower-case hex SHA-256. */
export type Misbehaviour = Readonly<{
  peer: PeerId
  /** Absent where a peer asked us, before it named one. */
  bundle?: BundleId
  kind: MisbehaviourKind
  chunk?: number
  expectedName?: string
  gotName?: string
  detail?: string
}>

const avoidMs = 10 * 60_000
/** From so many incidents on, a peer is avoided for every bundle. */
const incidentsMax = 3
const peersMax = 10_000

export interface PeerBook {
  /** When `peer` may be asked for `bundle` again; in the past when it may be now. */
  avoidUntilMs(peer: PeerId, bundle: BundleId): number
  note(peer: PeerId, bundle: BundleId, nowMs: number): void
}

/** A book with no entries, bounded in size. */
export function createPeerBook(): PeerBook {
  type Page = { incidents: number; untilMs: number; bundles: Map<BundleId, number> }
  const pages = new LRUCache<PeerId, Page>({ max: peersMax })
  return {
    avoidUntilMs(peer, bundle) {
      const page = pages.get(peer)
      return Math.max(page?.untilMs ?? 0, page?.bundles.get(bundle) ?? 0)
    },
    note(peer, bundle, nowMs) {
      const page = pages.get(peer) ?? { incidents: 0, untilMs: 0, bundles: new Map() }
      page.incidents += 1
      page.bundles.set(bundle, nowMs + avoidMs)
      if (page.incidents >= incidentsMax) {
        page.untilMs = nowMs + avoidMs
        page.bundles.clear()
      }
      pages.set(peer, page)
    },
  }
}
