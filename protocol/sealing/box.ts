/**
 * Sealing to one recipient: NaCl's box (X25519, XSalsa20, Poly1305; tweetnacl) under a key that the
 * sender makes for this message alone and a random nonce, so that nothing but the recipient's
 * private half opens it, not even the sender later. Source: https://nacl.cr.yp.to/box.html
 */

import nacl from 'tweetnacl'
import type { Static } from 'typebox'
import Type from 'typebox'
import { PotluckError } from '../errors.ts'
import { BytesSchema } from '../wire/index.ts'
import { drawSender, importPrivate, sharedKey } from './x25519.ts'

export const SealedSchema = Type.Object({
  /** The recipient's one-time public key: says which private half opens it. */
  recipientKey: BytesSchema(32, 32),
  senderKey: BytesSchema(32, 32),
  nonce: BytesSchema(24, 24),
  box: BytesSchema(16, 600_000),
})
/** A box for one recipient's one-time key. */
export type Sealed = Static<typeof SealedSchema>

/** The box is not for this key, or was changed on its way. */
export class UnsealError extends PotluckError {
  constructor(reason: string) {
    super('UNSEAL_FAILED', `a sealed message could not be opened: ${reason}`)
  }
}

/** Sealing to a key of small order would seal to everybody. */
export class BadRecipientKeyError extends PotluckError {
  constructor() {
    super('BAD_RECIPIENT_KEY', 'the one-time key is of small order: anybody could open the box')
  }
}

/** An X25519 key pair for one message: 32 bytes each. */
export function drawKeyPair(): { readonly publicKey: Uint8Array; readonly secretKey: Uint8Array } {
  return nacl.box.keyPair()
}

/**
 * Seals `plaintext` to a one-time public key (32 bytes).
 * @throws {BadRecipientKeyError}
 */
export function seal(plaintext: Uint8Array, recipientKey: Uint8Array): Sealed {
  const sender = drawSender()
  const shared = sharedKey(recipientKey, sender.privateKey)
  if (!shared) throw new BadRecipientKeyError()
  const nonce = nacl.randomBytes(24)
  const box = nacl.secretbox(plaintext, nonce, shared)
  shared.fill(0)
  return { recipientKey, senderKey: sender.publicKey, nonce, box }
}

/** Opens with the private half (32 bytes). @throws {UnsealError} */
export function unseal(sealed: Sealed, secretKey: Uint8Array): Uint8Array {
  const shared = sharedKey(sealed.senderKey, importPrivate(secretKey))
  const plaintext = shared && nacl.secretbox.open(sealed.box, sealed.nonce, shared)
  shared?.fill(0)
  if (!plaintext) throw new UnsealError('it was changed, or is for another key')
  return plaintext
}
