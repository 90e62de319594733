/**
 * Schemas of the small things that every message is made of. Limits stand here, once: what a
 * schema lets through is trusted from there on.
 */
import Type, { type TSchema } from 'typebox'
import type {
  BlobId,
  BundleId,
  Digest,
  Epoch,
  GroupId,
  InstanceId,
  NetworkId,
  PeerId,
  SlotId,
  Term,
} from '../ids.ts'

const uuid = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}'

function patterned<T extends string>(pattern: string, maxLength: number) {
  return Type.Unsafe<T>(Type.String({ pattern, maxLength }))
}

/** A byte string of `min`..`max` bytes. */
export function BytesSchema(min: number, max: number) {
  return Type.Refine(
    Type.Unsafe<Uint8Array>({}),
    (value) => value instanceof Uint8Array && value.length >= min && value.length <= max,
    () => `must be a byte string of ${min === max ? min : `${min} to ${max}`} bytes`,
  )
}

/** A whole number from 0 that JavaScript holds exactly. */
export function CountSchema(maximum: number = Number.MAX_SAFE_INTEGER, minimum = 0) {
  return Type.Integer({ minimum, maximum })
}

/** A text of at most `maxLength` UTF-16 units. */
export function TextSchema(maxLength: number) {
  return Type.String({ maxLength })
}

/** An array with a bound: a schema without one is a queue without one. */
export function ListSchema<T extends TSchema>(item: T, maxItems: number) {
  return Type.Array(item, { maxItems })
}

/** Milliseconds of the coordinator's time (its own clock, near the Unix epoch's). */
export const TimeMsSchema = CountSchema()
export const PeerIdSchema = patterned<PeerId>('^[1-9A-HJ-NP-Za-km-z]{32,64}$', 64)
export const NetworkIdSchema = patterned<NetworkId>('^[0-9a-f]{32}$', 32)
export const UuidSchema = patterned<string>(`^${uuid}$`, 36)
export const GroupIdSchema = patterned<GroupId>(`^${uuid}$`, 36)
export const InstanceIdSchema = patterned<InstanceId>(`^${uuid}$`, 36)
export const SlotIdSchema = patterned<SlotId>(`^${uuid}/(0|[1-9][0-9]{0,4})$`, 42)
export const BundleIdSchema = patterned<BundleId>('^[0-9a-f]{64}$', 64)
export const BlobIdSchema = patterned<BlobId>('^[0-9a-f]{64}$', 64)
export const DigestSchema = patterned<Digest>('^sha256:[0-9a-f]{64}$', 71)
export const TermSchema = Type.Unsafe<Term>(CountSchema(2 ** 31, 1))
export const EpochSchema = Type.Unsafe<Epoch>(CountSchema(2 ** 48, 1))
export const MultiaddrSchema = patterned<string>('^(/[^/\\s]+)+$', 512)
/** 16 random bytes. */
export const NonceSchema = BytesSchema(16, 16)

/** Bytes with a detached Ed25519 signature over a domain prefix and just these bytes. */
export const SignedSchema = Type.Object({
  payload: BytesSchema(1, 1 << 20),
  signature: BytesSchema(64, 64),
})
export type Signed = Type.Static<typeof SignedSchema>
