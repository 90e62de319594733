/**
 * What peers say of one another, weighed. An accusation is one's word (a chunk's hash proves nothing
 * to who was not there), so it takes many who have no reason to agree: a household counts once and
 * for no more than one, by its own standing, and for less the more it names. A ban takes more than
 * a third of all households of standing, so a third that lies together bans nobody. Less than that
 * makes a suspect, for an operator to look at and for the scheduler to avoid.
 *
 * Victims do not wait for this: each has dropped its liar by itself (protocol/swarm/peer-book.ts).
 */
import { LRUCache } from 'lru-cache'
import type { Misbehaviour } from '../../protocol/control/index.ts'
import type { PeerId } from '../../protocol/ids.ts'
import { addPoints, type Fading, pointsAt } from './fading.ts'

export type Accusation = Readonly<{
  /** The accuser's. */
  household: string
  /** A cache, which the operator trusts: its word alone is enough when it is said twice. */
  isTrusted: boolean
  accused: PeerId
  kind: Misbehaviour['kind']
}>

export type Weighed = Readonly<{
  weight: number
  /** For a ban. */
  needed: number
  /** Households that accuse it, whatever they weigh. */
  accusers: number
  verdict: 'none' | 'suspect' | 'ban'
}>

/** What is known of those who speak. */
export type Witnesses = Readonly<{
  nowMs: number
  /** The accused's own: nobody accuses or clears itself. */
  household: string
  /** Households of standing seen within the last days, also those that are away now. */
  households: number
  /** From 0 (new here) to 1. */
  standingOf: (household: string) => number
  /** Who was rightly named does not count against who named it. */
  isBanned: (peer: PeerId) => boolean
}>

export interface AccusationBook {
  note(accusation: Accusation, nowMs: number): void
  weigh(accused: PeerId, witnesses: Witnesses): Weighed
}

/** One proven lie is a whole point; what bad software may do by mistake is less. */
const kindPoints: Readonly<Record<Misbehaviour['kind'], number>> = {
  'wrong-chunk': 1,
  'wrong-descriptor': 1,
  malformed: 0.5,
  'false-have': 0.25,
  flood: 0.25,
}
const halfLifeMs = 24 * 3_600_000
/** However few households there are. */
const householdsMin = 4
/** So many may be named at full weight; twice as many at half. */
const namedFree = 8
/** Of what a ban takes, and at least two households. */
const suspectShare = 0.34
const suspectMin = 2
/** A cache's points for its word to be enough. */
const trustedPoints = 2
/** Remembered; the longest unheard go first. */
const accusedMax = 4_000
const accusersMax = 4_096
const namedMax = 256
const householdsMax = 20_000

/** Maps with a bound by hand: a cache of that size each would be laid out in full for one word. */
type Words = Map<string, Fading>

/** An empty book, bounded in size. */
export function createAccusationBook(): AccusationBook {
  const ofPeers = new LRUCache<PeerId, Readonly<{ homes: Words; caches: Words }>>({
    max: accusedMax,
  })
  const namedBy = new LRUCache<string, Map<PeerId, Fading>>({ max: householdsMax })

  const discountOf = (household: string, { nowMs, isBanned }: Witnesses): number => {
    let named = 0
    for (const [peer, score] of namedBy.peek(household)?.entries() ?? []) {
      if (!isBanned(peer)) named += Math.min(1, pointsAt(score, nowMs, halfLifeMs))
    }
    return Math.min(1, namedFree / Math.max(1, named))
  }
  return {
    note({ household, isTrusted, accused, kind }, nowMs) {
      const words = ofPeers.get(accused) ?? { homes: new Map(), caches: new Map() }
      ofPeers.set(accused, words)
      const all = isTrusted ? words.caches : words.homes
      const at = { nowMs, halfLifeMs }
      keep(all, household, addPoints(all.get(household), kindPoints[kind], at), accusersMax)
      if (isTrusted) return
      const named = namedBy.get(household) ?? new Map<PeerId, Fading>()
      namedBy.set(household, named)
      keep(named, accused, addPoints(named.get(accused), kindPoints[kind], at), namedMax)
    },
    weigh(accused, witnesses) {
      const { nowMs, household: own, households, standingOf } = witnesses
      const needed = Math.max(householdsMin, Math.floor(households / 3) + 1)
      const words = ofPeers.peek(accused)
      if (!words) return { weight: 0, needed, accusers: 0, verdict: 'none' }
      let weight = 0
      let accusers = 0
      for (const [household, score] of words.homes.entries()) {
        if (household === own) continue
        accusers++
        const strength = Math.min(1, pointsAt(score, nowMs, halfLifeMs))
        weight += strength * standingOf(household) * discountOf(household, witnesses)
      }
      for (const score of words.caches.values()) {
        weight += needed * Math.min(1, pointsAt(score, nowMs, halfLifeMs) / trustedPoints)
      }
      const isSuspect = weight >= Math.max(suspectMin, needed * suspectShare)
      // Words fade from the moment they are said; that must not make the last one vain.
      const verdict = weight >= needed - 0.01 ? 'ban' : isSuspect ? 'suspect' : 'none'
      return { weight, needed, accusers, verdict }
    },
  }
}

/** Puts it last, and forgets the first beyond `max`. */
function keep<K>(all: Map<K, Fading>, key: K, value: Fading, max: number): void {
  all.delete(key)
  all.set(key, value)
  if (all.size <= max) return
  for (const first of all.keys()) {
    all.delete(first)
    return
  }
}
