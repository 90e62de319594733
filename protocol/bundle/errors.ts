/** What can be wrong with a bundle, a blob or a chunk that came from outside. */
import { PotluckError, type PotluckErrorInit } from '../errors.ts'

/** Bytes that are not a descriptor of version 1, or one beyond the limits. */
export class MalformedDescriptorError extends PotluckError {
  constructor(reason: string, init: PotluckErrorInit = {}) {
    super('MALFORMED_DESCRIPTOR', `not a valid descriptor: ${reason}`, init)
  }
}

/** Bytes that are not a bitfield of the expected size. */
export class MalformedBitfieldError extends PotluckError {
  constructor(reason: string) {
    super('MALFORMED_BITFIELD', `not a valid bitfield: ${reason}`)
  }
}

/** A chunk that does not open: another key, blob, index or count, or changed bytes. */
export class ChunkNotOpenedError extends PotluckError {
  constructor(index: number, reason: string, init: PotluckErrorInit = {}) {
    super('CHUNK_NOT_OPENED', `chunk ${index} cannot be decrypted: ${reason}`, {
      fields: { index },
      ...init,
    })
  }
}

/** A source that gave more or fewer bytes than its manifest says. */
export class SizeMismatchError extends PotluckError {
  constructor(expectedBytes: number, actual: string) {
    super('SIZE_MISMATCH', `the blob has ${actual}; its manifest says ${expectedBytes} bytes`, {
      fields: { expectedBytes },
    })
  }
}

/** A source whose bytes do not have the digest that names them: what was read must be discarded. */
export class DigestMismatchError extends PotluckError {
  constructor(expected: string, actual: string) {
    super('DIGEST_MISMATCH', `the blob's bytes have digest ${actual}, not ${expected}`, {
      fields: { expected, actual },
    })
  }
}
