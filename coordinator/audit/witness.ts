/**
 * What peers remember of this log, held against it when they say hello. A head that this log does
 * not reach means that the store is older than what was signed (a backup); one that it contradicts
 * means that somebody signs another past with our key. Either is told loudly and written down.
 */
import {
  type AuditHead,
  type AuditProof,
  auditHeadCodec,
  openAuditProof,
} from '../../protocol/audit/index.ts'
import type { NetworkId, PeerId, Term } from '../../protocol/ids.ts'
import type { Logger } from '../../protocol/log/index.ts'
import type { AuditLog } from './audit-log.ts'

export interface AuditWitness {
  /** Never rejects: a peer's word must not end its session. */
  take(peer: PeerId, shown: AuditProof): Promise<void>
}

export type AuditWitnessComponents = Readonly<{
  audit: Pick<AuditLog, 'count' | 'hashOf' | 'record' | 'continueFrom'>
  term: Term
  pinned: Readonly<{ network: NetworkId; rootKey: Uint8Array }>
  /** A genuine head of this very term, of an entry that this log has not got: the store is too old. */
  onAhead: (head: AuditHead, peer: PeerId) => void
  logger: Logger
}>

export function createAuditWitness(components: AuditWitnessComponents): AuditWitness {
  const { audit, term, pinned, onAhead, logger } = components
  /** A thousand nodes that saw the same lie are one entry. */
  const known = new Set<string>()

  const take = async (peer: PeerId, shown: AuditProof): Promise<void> => {
    const claimed = auditHeadCodec.decode(shown.head.payload)
    const own = claimed.number <= audit.count ? await audit.hashOf(claimed.number) : undefined
    // The common case needs no signature checked: it says what this log says.
    if (own && Buffer.compare(own, claimed.hash) === 0) return
    const head = openAuditProof(shown, pinned)
    if (head.number > audit.count) {
      // Restored under a new term: it goes on from what peers know. In its own term it may not be.
      if (head.term < term) await audit.continueFrom(shown, { peer })
      else onAhead(head, peer)
      return
    }
    // Of what a restore says was lost.
    if (!own) return
    const isLost = head.term < term
    const key = `${head.number} ${Buffer.from(head.hash).toString('hex')}`
    if (known.has(key) || known.size >= contradictionsMax) return
    known.add(key)
    const facts = { peer, entry: head.number, shownHash: Buffer.from(head.hash).toString('hex') }
    if (isLost) logger.warn(facts, 'entries of the audit log were lost in a restore')
    else logger.error(facts, 'a peer holds a head of the audit log that this log contradicts')
    const kind = isLost ? 'entries-lost' : 'split-view'
    await audit.record([{ kind, by: `peer ${peer}`, facts, continues: shown }])
  }
  return {
    take: (peer, shown) =>
      take(peer, shown).catch((error: unknown) => {
        logger.warn({ peer, error }, 'a peer showed an audit head that proves nothing')
      }),
  }
}

/** Contradictions written down a run; the first is proof enough. */
const contradictionsMax = 100
