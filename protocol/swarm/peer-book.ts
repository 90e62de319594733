/**
 * Who has misbehaved, and for how long they are neither asked nor served. Being slow, away, full
 * or on a bad line is not in here: only what an honest peer never does. Each kind has a weight, and
 * what is remembered of it fades: a disk that went bad and was replaced is not held against its
 * owner for ever, while who lies again and again is left alone for longer and longer.
 */
import { LRUCache } from 'lru-cache'
import type { BundleId, PeerId } from '../ids.ts'

/**
 * `wrong-chunk`: bytes that are not the named chunk. `wrong-descriptor`: the same of a descriptor.
 * `false-have`: many chunks that it said it has and then refused. `malformed`: not the protocol, or
 * what nobody asked for. `flood`: more asked or told than may wait.
 */
export type MisbehaviourKind =
  | 'wrong-chunk'
  | 'wrong-descriptor'
  | 'false-have'
  | 'malformed'
  | 'flood'

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

/** One proven lie is a whole point; what bad software may do by mistake is less. */
const weights: Readonly<Record<MisbehaviourKind, number>> = {
  'wrong-chunk': 1,
  'wrong-descriptor': 1,
  malformed: 1,
  'false-have': 0.5,
  flood: 0.5,
}
const halfLifeMs = 10 * 60_000
/** From so many points on (a second lie within a half-life), a peer is avoided for every bundle, and not served. */
const droppedScore = 1.5
/** For so long, and twice as long for each point more. */
const avoidMs = 10 * 60_000
const avoidMsMax = 4 * 60 * 60_000
const peersMax = 10_000
const bundlesPerPeerMax = 64

export interface PeerBook {
  /** When `peer` may be asked for `bundle` again; in the past when it may be now. */
  avoidUntilMs(peer: PeerId, bundle: BundleId): number
  /** Whether a peer is neither asked nor served. */
  isDropped(peer: PeerId, nowMs: number): boolean
  /** Counts a misdeed. Without a bundle it counts for all. */
  note(what: Pick<Misbehaviour, 'peer' | 'bundle' | 'kind'>, nowMs: number): void
  /** Points of a peer now: 0 is spotless. */
  scoreOf(peer: PeerId, nowMs: number): number
}

type Page = {
  score: number
  atMs: number
  /** For all bundles. */
  untilMs: number
  bundles: LRUCache<BundleId, number>
}

/** A book with no entries, bounded in size. */
export function createPeerBook(): PeerBook {
  const pages = new LRUCache<PeerId, Page>({ max: peersMax })
  const scoreOf = (page: Page, nowMs: number): number =>
    page.score * 0.5 ** (Math.max(0, nowMs - page.atMs) / halfLifeMs)
  return {
    avoidUntilMs(peer, bundle) {
      const page = pages.get(peer)
      return Math.max(page?.untilMs ?? 0, page?.bundles.get(bundle) ?? 0)
    },
    isDropped: (peer, nowMs) => (pages.get(peer)?.untilMs ?? 0) > nowMs,
    note({ peer, bundle, kind }, nowMs) {
      const page = pages.get(peer) ?? {
        ...{ score: 0, atMs: nowMs, untilMs: 0 },
        bundles: new LRUCache<BundleId, number>({ max: bundlesPerPeerMax }),
      }
      page.score = scoreOf(page, nowMs) + weights[kind]
      page.atMs = nowMs
      const forMs = Math.min(avoidMsMax, avoidMs * 2 ** Math.max(0, page.score - droppedScore))
      if (bundle) page.bundles.set(bundle, nowMs + forMs)
      if (page.score >= droppedScore) page.untilMs = nowMs + forMs
      pages.set(peer, page)
    },
    scoreOf(peer, nowMs) {
      const page = pages.get(peer)
      return page ? scoreOf(page, nowMs) : 0
    },
  }
}
