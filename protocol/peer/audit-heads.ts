/**
 * The newest head of the coordinator's audit log that this peer was shown, over restarts. A head
 * that contradicts it is refused and kept beside it: two signatures on two pasts.
 */
import {
  type AuditHead,
  type AuditProof,
  AuditProofSchema,
  AuditSplitError,
  auditHeadCodec,
  judgeAuditHead,
} from '../audit/index.ts'
import type { TermKeeper } from '../orders/index.ts'
import { collection, type Store } from '../store/index.ts'
import type { Signed } from '../wire/index.ts'

export interface PeerAuditHeads {
  /** With its certificate, to be shown to others; undefined before the first. */
  readonly newest: AuditProof | undefined
  /**
   * Verifies a head, and keeps it when it is newer.
   * @throws {AuditSplitError} it contradicts the newest; both are on disk by then.
   * @throws as `TermKeeper.open`
   */
  take(head: Signed): Promise<void>
}

const newestKey = 'newest'

/** The newest head that the peer of `store` was shown, for people who ask for it. */
export async function readKeptHead(store: Store): Promise<AuditProof | undefined> {
  return await collection(store, 'peer-audit', AuditProofSchema).get(newestKey)
}

/** Loads what was kept. @throws {StoreRecordError} it is damaged. */
export async function openPeerAuditHeads({
  store,
  keeper,
}: {
  readonly store: Store
  readonly keeper: TermKeeper
}): Promise<PeerAuditHeads> {
  const records = collection(store, 'peer-audit', AuditProofSchema)
  let newest = await records.get(newestKey)
  let held: AuditHead | undefined = newest && auditHeadCodec.decode(newest.head.payload)
  /** One at a time: an older head must not be written over a newer one. */
  let turn: Promise<unknown> = Promise.resolve()

  const takeNow = async (head: Signed): Promise<void> => {
    const offered = keeper.open('audit-head', head, auditHeadCodec)
    const shown: AuditProof = { certificate: keeper.certificate, head }
    const verdict = judgeAuditHead(offered, held)
    if (held && newest && (verdict === 'split' || verdict === 'rollback')) {
      // The first proof is kept: a coordinator that lies again must not write over it.
      if (!(await records.get('contradiction'))) {
        await store.batch([
          records.putOperation('contradicted', newest),
          records.putOperation('contradiction', shown),
        ])
      }
      throw new AuditSplitError(verdict, held.number, offered.number)
    }
    if (verdict !== 'newer') return
    await records.put(newestKey, shown)
    newest = shown
    held = offered
  }
  return {
    get newest() {
      return newest
    },
    take(head) {
      const done = turn.then(() => takeNow(head))
      turn = done.catch(() => undefined)
      return done
    },
  }
}
