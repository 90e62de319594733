/**
 * One way to turn a value into bytes and back: deterministic CBOR (RFC 8949, section 4.2, by cborg)
 * checked by a TypeBox schema. One schema is the type, the validation and the document; what
 * decodes is trusted from there on. Without it every reader would check its own half of a message.
 */
import { decode, decodeFirst, encode } from 'cborg'
import type { Static, TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { MalformedMessageError, MessageTooLargeError } from './errors.ts'

/** Strict: canonical integers, definite lengths, no undefined, no NaN, no duplicate keys. */
const strictness = {
  strict: true,
  allowIndefinite: false,
  allowUndefined: false,
  allowInfinity: false,
  allowNaN: false,
  allowBigInt: false,
  rejectDuplicateMapKeys: true,
} as const

export interface Codec<T> {
  /** The kind of message, for errors: 'allocation', 'chunk request'. */
  readonly kind: string
  /** Deterministic bytes: equal values give equal bytes. @throws {MessageTooLargeError} */
  encode(value: T): Uint8Array
  /** @throws {MessageTooLargeError} @throws {MalformedMessageError} */
  decode(bytes: Uint8Array): T
  /** Decodes a message that stands before other bytes; the rest shares memory with `bytes`. */
  decodeFirst(bytes: Uint8Array): readonly [T, Uint8Array]
}

/**
 * A codec of `schema`, of at most `maxBytes` encoded (without the rest that follows it).
 * Properties that the schema does not know are kept out of the way: ignored, never trusted.
 */
export function createCodec<S extends TSchema>(
  kind: string,
  schema: S,
  { maxBytes }: { readonly maxBytes: number },
): Codec<Static<S>> {
  const validator = Compile(schema)
  const check = (value: unknown): Static<S> => {
    if (validator.Check(value)) return value
    const [first] = validator.Errors(value)
    throw new MalformedMessageError(kind, `${first?.instancePath || '/'} ${first?.message}`)
  }
  const parse = <T>(read: () => T): T => {
    try {
      return read()
    } catch (cause) {
      throw new MalformedMessageError(kind, 'not strict CBOR', { cause })
    }
  }
  return {
    kind,
    encode(value) {
      const bytes = encode(value, { ignoreUndefinedProperties: true })
      if (bytes.length > maxBytes) throw new MessageTooLargeError(kind, bytes.length, maxBytes)
      return bytes
    },
    decode(bytes) {
      if (bytes.length > maxBytes) throw new MessageTooLargeError(kind, bytes.length, maxBytes)
      return check(parse(() => decode(bytes, strictness)))
    },
    decodeFirst(bytes) {
      const [value, rest] = parse(() => decodeFirst(bytes, strictness))
      const usedBytes = bytes.length - rest.length
      if (usedBytes > maxBytes) throw new MessageTooLargeError(kind, usedBytes, maxBytes)
      return [check(value), rest]
    },
  }
}
