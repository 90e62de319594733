/**
 * One entry of the audit log. Its bytes are canonical CBOR and are never written anew: the next
 * entry names their SHA-256, so whoever changes one must change all that follow, and the signed
 * head at the end.
 */
import { createHash } from 'node:crypto'
import Type, { type Static } from 'typebox'
import { type AuditProof, AuditProofSchema } from '../../protocol/audit/index.ts'
import { BytesSchema, CountSchema, createCodec, TextSchema } from '../../protocol/wire/index.ts'

const auditKinds = [
  /** The coordinator started, under this term. */
  'start',
  /** Peers know more of the log than the store: it is continued from the head that they hold. */
  'restore',
  /** The log was found damaged at a start; it goes on from its signed head. */
  'damage-found',
  /** A peer holds a head of ours that this log contradicts. */
  'split-view',
  'allocation',
  'revocation',
  'ban',
  'unban',
  'key-made',
  'key-revoked',
  'organization-made',
  'project-made',
  'access-refused',
  'admin',
  'security-report',
] as const
type AuditKind = (typeof auditKinds)[number]

const FactSchema = Type.Union([TextSchema(2_048), Type.Integer(), Type.Boolean()])

const actFields = {
  /** One of {@link auditKinds}; a newer version may know more, and its log must verify here too. */
  kind: Type.String({ pattern: '^[a-z][a-z-]{0,63}$' }),
  /** Who did it: `coordinator`, `operator`, `key <id>`, `node <peer>`. */
  by: TextSchema(256),
  /** What else is known, flat; never a secret. */
  facts: Type.Record(Type.String({ maxLength: 64 }), FactSchema),
  /** Of a restore: the head that this entry follows, though the log lacks what leads there. */
  continues: Type.Optional(AuditProofSchema),
}
/** What happened, before it has a place in the chain. */
export type AuditAct = Readonly<{
  kind: AuditKind
  by: string
  facts: Readonly<Record<string, string | number | boolean>>
  continues?: AuditProof
}>

const AuditEntrySchema = Type.Object({
  v: Type.Literal(1),
  /** From 1, without gaps but for restores. */
  number: CountSchema(Number.MAX_SAFE_INTEGER, 1),
  /** SHA-256 of the bytes of the entry before; zeroes for the first. */
  previous: BytesSchema(32, 32),
  /** Coordinator's time. */
  atMs: CountSchema(),
  ...actFields,
})
export type AuditEntry = Readonly<Static<typeof AuditEntrySchema>>

export const entryBytesMax = 16_384
export const auditEntryCodec = createCodec('audit entry', AuditEntrySchema, {
  maxBytes: entryBytesMax,
})

/** Where a chain stands: what its next entry must follow. */
export type ChainEnd = Readonly<{ number: number; hash: Uint8Array }>

export const emptyChain: ChainEnd = { number: 0, hash: new Uint8Array(32) }

export function entryHash(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update(bytes).digest())
}

/** The bytes of `act` as the entry after `end`. Pure. @throws {MessageTooLargeError} */
export function appendAct(
  end: ChainEnd,
  act: AuditAct,
  atMs: number,
): Readonly<{ bytes: Uint8Array; end: ChainEnd }> {
  const number = end.number + 1
  const bytes = auditEntryCodec.encode({
    v: 1,
    ...{ number, previous: end.hash, atMs },
    ...{ ...act, facts: { ...act.facts } },
  })
  return { bytes, end: { number, hash: entryHash(bytes) } }
}
