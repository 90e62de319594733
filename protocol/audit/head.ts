/**
 * Heads of the coordinator's audit log: "my log has so many entries, and the last one hashes to
 * this", signed. Peers keep the newest that they were shown. Without them the owner of the
 * coordinator could write another past and show it to whoever asks; with them two pasts are two
 * signatures that anybody can lay side by side.
 */
import Type, { type Static } from 'typebox'
import type { NetworkId } from '../ids.ts'
import { openTermCertificate } from '../orders/index.ts'
import { assertSignedBy } from '../signing/index.ts'
import {
  BytesSchema,
  CountSchema,
  createCodec,
  NetworkIdSchema,
  SignedSchema,
  TermSchema,
  TimeMsSchema,
} from '../wire/index.ts'
import { AuditHeadMismatchError } from './errors.ts'

export const AuditHeadSchema = Type.Object({
  v: Type.Literal(1),
  network: NetworkIdSchema,
  term: TermSchema,
  /** Of the newest entry; the first is 1. */
  number: CountSchema(Number.MAX_SAFE_INTEGER, 1),
  /** SHA-256 of that entry's bytes. */
  hash: BytesSchema(32, 32),
  issuedMs: TimeMsSchema,
})
export type AuditHead = Static<typeof AuditHeadSchema>

export const auditHeadCodec = createCodec('audit head', AuditHeadSchema, { maxBytes: 512 })

/** A head with what it takes to check it years later: the root key's word on who signed. */
export const AuditProofSchema = Type.Object({ certificate: SignedSchema, head: SignedSchema })
export type AuditProof = Static<typeof AuditProofSchema>
export const auditProofCodec = createCodec('proof of an audit head', AuditProofSchema, {
  maxBytes: 4_096,
})

/**
 * Verifies both signatures down to the root key.
 * @throws {BadSignatureError} @throws {MalformedMessageError} @throws {OrderRefusedError} WRONG_NETWORK
 */
export function openAuditProof(
  { certificate, head }: AuditProof,
  pinned: { readonly network: NetworkId; readonly rootKey: Uint8Array },
): AuditHead {
  const { orderKey, term } = openTermCertificate(certificate, pinned)
  assertSignedBy('audit-head', head, orderKey)
  const opened = auditHeadCodec.decode(head.payload)
  if (opened.network !== pinned.network || opened.term !== term) {
    throw new AuditHeadMismatchError(opened)
  }
  return opened
}

/** What a newer head says next to the one that is held. */
export type HeadVerdict =
  | 'newer'
  | 'same'
  /** Same number, other hash: two pasts. */
  | 'split'
  /** A lower number, signed later in the same term: entries were taken back. */
  | 'rollback'
  /** Only late; or of a coordinator that was restored, which has to go on from the held one. */
  | 'older'

/** Pure. */
export function judgeAuditHead(offered: AuditHead, held: AuditHead | undefined): HeadVerdict {
  if (!held || offered.number > held.number) return 'newer'
  const isSame = Buffer.compare(offered.hash, held.hash) === 0
  if (offered.number === held.number && isSame) return 'same'
  // The root key had to raise the term. Our hello shows what is held, and numbers will pass it.
  if (offered.term !== held.term) return 'older'
  if (offered.number === held.number) return 'split'
  return offered.issuedMs > held.issuedMs ? 'rollback' : 'older'
}
