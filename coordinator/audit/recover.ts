/** Where the log on disk ends. The signed head is believed over the entries, which nobody signs. */
import { type AuditProof, auditHeadCodec } from '../../protocol/audit/index.ts'
import { describeError } from '../../protocol/errors.ts'
import { type ChainEnd, emptyChain, entryHash } from './entry.ts'
import { type AuditRecords, entryKey, headKey } from './records.ts'

export type RecoveredChain = Readonly<{
  end: ChainEnd
  proof: AuditProof | undefined
  /** Whose certificates are kept. */
  terms: ReadonlySet<number>
  /** For people; absent: the newest entry is the one that the head signs. */
  problem?: string
}>

/**
 * Reads the end alone: a coordinator with years of entries starts as fast as a new one. After damage
 * it goes on from the head, so that what follows never makes the damage whole again.
 */
export async function recoverChain(records: AuditRecords): Promise<RecoveredChain> {
  const terms = new Set<number>()
  for await (const [key] of records.certificates.entries()) terms.add(Number(key))
  let newest: ChainEnd = emptyChain
  let problem: string | undefined
  try {
    for await (const [key, bytes] of records.entries.entries({ reverse: true, limit: 1 })) {
      newest = { number: Number(key), hash: entryHash(bytes) }
    }
  } catch (error) {
    problem = describeError(error)
  }
  const head = await records.heads.get(headKey)
  if (!head) {
    if (newest.number > 0) problem = `entries up to ${newest.number}, and no signed head`
    return { end: newest, proof: undefined, terms, ...(problem ? { problem } : {}) }
  }
  const { number, hash, term } = auditHeadCodec.decode(head.payload)
  const certificate = await records.certificates.get(entryKey(term))
  if (newest.number !== number) {
    problem ??= `the newest entry is ${newest.number}, the signed head is of ${number}`
  } else if (Buffer.compare(newest.hash, hash) !== 0) {
    problem ??= `entry ${number} is not the one that the head signs`
  }
  return {
    end: { number, hash },
    proof: certificate && { certificate, head },
    terms,
    ...(problem ? { problem } : {}),
  }
}
