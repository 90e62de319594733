/**
 * One entry of the audit log. Its bytes are canonical CBOR and are never written anew: the next
 * entry names their SHA-256, so whoever changes one must change all that follow, and the signed
 * head at the end.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import Type, { type Static } from 'typebox'
import { type AuditProof, AuditProofSchema } from '../../protocol/audit/index.ts'
import { BytesSchema, CountSchema, createCodec, TextSchema } from '../../protocol/wire/index.ts'

/** What an entry holds at most: what is longer is cut, because an act must never fail for its note. */
const limits = { facts: 16, nameLength: 64, textLength: 1_024, byLength: 256 } as const
const kindForm = /^[a-z][a-z-]{0,63}$/

const FactSchema = Type.Union([TextSchema(limits.textLength), Type.Integer(), Type.Boolean()])

const actFields = {
  /**
   * What it is: `start`, `allocation`, `revocation`, `ban`, `unban`, `key-made`, `key-revoked`,
   * `access-refused`, `admin`, `security-report`, `restore` (peers knew more of the log than the
   * store), `damage-found`, `split-view` … Open, because an older version must verify a newer log.
   */
  kind: Type.String({ pattern: kindForm.source }),
  /** Who did it: `coordinator`, `operator`, `key <id>`, `node <peer>`. */
  by: TextSchema(limits.byLength),
  /** What else is known, flat; never a secret. */
  facts: Type.Record(Type.String({ maxLength: limits.nameLength }), FactSchema),
  /** Of a restore: the head that this entry follows, though the log lacks what leads there. */
  continues: Type.Optional(AuditProofSchema),
}
/** What happened, before it has a place in the chain. */
export type AuditAct = Readonly<{
  kind: string
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

export const entryBytesMax = 65_536
export const auditEntryCodec = createCodec('audit entry', AuditEntrySchema, {
  maxBytes: entryBytesMax,
})

/** Where a chain stands: what its next entry must follow. */
export type ChainEnd = Readonly<{ number: number; hash: Uint8Array }>

export const emptyChain: ChainEnd = { number: 0, hash: new Uint8Array(32) }

export function entryHash(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update(bytes).digest())
}

/** Before it waits with others: what one caller got wrong must not fail the acts of all. */
export function assertKind({ kind }: AuditAct): void {
  assert(kindForm.test(kind), `an act is named in lower case, not ${kind}`)
}

/** The bytes of `act` as the entry after `end`. Pure. */
export function appendAct(
  end: ChainEnd,
  act: AuditAct,
  atMs: number,
): Readonly<{ bytes: Uint8Array; end: ChainEnd }> {
  const number = end.number + 1
  const bytes = auditEntryCodec.encode({
    ...{ v: 1, number, previous: end.hash, atMs, kind: act.kind },
    ...{ by: act.by.slice(0, limits.byLength), facts: soundFacts(act.facts) },
    ...(act.continues ? { continues: act.continues } : {}),
  })
  return { bytes, end: { number, hash: entryHash(bytes) } }
}

/** What is written must be read again: an entry that its own schema refuses would look like damage. */
function soundFacts(facts: AuditAct['facts']): AuditEntry['facts'] {
  const sound = Object.entries(facts)
    .slice(0, limits.facts)
    .map(([name, value]) => {
      const isPlain = typeof value === 'boolean' || Number.isSafeInteger(value)
      const shown = isPlain ? value : String(value).slice(0, limits.textLength)
      return [name.slice(0, limits.nameLength), shown] as const
    })
  return Object.fromEntries(sound)
}
