/**
 * Accusations at work: each is weighed as it comes, what was said is kept as evidence, and who is
 * accused by enough is banned; who is accused by fewer is a suspect until the words have faded.
 */
import { LRUCache } from 'lru-cache'
import type { Misbehaviour } from '../../protocol/control/index.ts'
import type { PeerId } from '../../protocol/ids.ts'
import type { Logger } from '../../protocol/log/index.ts'
import { createAccusationBook, type Weighed } from './accusations.ts'

export type Accuser = Readonly<{ peer: PeerId; household: string; isTrusted: boolean }>
export type Suspect = Readonly<{ peer: PeerId }> & Weighed

export interface AccusationDesk {
  accuse(by: Accuser, evidence: Misbehaviour): void
  isSuspect(peer: PeerId): boolean
  suspects(): readonly Suspect[]
  /** Lets go of suspects of whom too little is said by now. */
  look(): void
}

export type AccusationDeskComponents = Readonly<{
  ban: (peer: PeerId, source: 'accusation', texts: readonly string[]) => void
  isBanned: (peer: PeerId) => boolean
  /** Those seen lately, and the standing of each from 0 to 1. */
  households: () => ReadonlyMap<string, number>
  householdOf: (peer: PeerId) => string
  nowMs: () => number
  logger: Logger
}>

const accusedMax = 4_000
const evidencePerPeer = 16

export function createAccusationDesk(components: AccusationDeskComponents): AccusationDesk {
  const { ban, isBanned, households, householdOf, nowMs, logger } = components
  const book = createAccusationBook()
  const words = new LRUCache<PeerId, readonly string[]>({ max: accusedMax })
  const suspects = new Set<PeerId>()

  const weigh = (peer: PeerId): Weighed => {
    const known = households()
    return book.weigh(peer, {
      ...{ nowMs: nowMs(), household: householdOf(peer), isBanned },
      households: [...known.values()].filter((standing) => standing > 0).length,
      standingOf: (household) => known.get(household) ?? 0,
    })
  }
  return {
    accuse({ peer: by, household, isTrusted }, evidence) {
      const { peer: accused, kind, chunk, expectedName = '', gotName = '', detail = '' } = evidence
      if (accused === by || isBanned(accused)) return
      book.note({ household, isTrusted, accused, kind }, nowMs())
      const facts = [chunk === undefined ? '' : `chunk ${chunk}`, expectedName, gotName, detail]
      const said = `${household} ${by}: ${kind} ${facts.join(' ')}`.slice(0, 900)
      const texts = [...(words.get(accused) ?? []), said].slice(-evidencePerPeer)
      words.set(accused, texts)
      const weighed = weigh(accused)
      if (weighed.verdict === 'ban') ban(accused, 'accusation', texts)
      if (weighed.verdict !== 'suspect' || suspects.has(accused)) return
      suspects.add(accused)
      logger.warn({ peer: accused, ...weighed }, 'many accuse a peer: it is suspect')
    },
    isSuspect: (peer) => suspects.has(peer),
    suspects: () => [...suspects].map((peer) => ({ peer, ...weigh(peer) })),
    look() {
      for (const peer of suspects) if (weigh(peer).verdict === 'none') suspects.delete(peer)
    },
  }
}
