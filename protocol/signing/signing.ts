/**
 * Detached Ed25519 signatures in tweetnacl's formats (32-byte seed and public key, 64-byte
 * signature) over a domain prefix and the exact bytes sent. The prefix makes a signature of one
 * kind worthless as another. node:crypto makes and checks them (some 8,000 a second a core);
 * tweetnacl is the reference in the tests. Source: RFC 8032.
 */
import { createPrivateKey, createPublicKey, sign as edSign, verify as edVerify } from 'node:crypto'
import { PotluckError } from '../errors.ts'
import type { Signed } from '../wire/index.ts'
import { isSoundPoint, isSoundScalar } from './points.ts'

/** What is signed; each has a domain prefix of its own. */
export type SignedKind =
  | 'term-certificate'
  | 'allocation'
  | 'revocation'
  | 'ticket'
  | 'roster'
  | 'ban-list'
  | 'pulse'
  | 'node-keys'
  | 'reach'
  | 'audit-head'

/** The signature is not that key's over these bytes. Nothing of the payload may be believed. */
export class BadSignatureError extends PotluckError {
  constructor(kind: SignedKind) {
    super('BAD_SIGNATURE', `the signature of this ${kind} is not valid; it is ignored`)
  }
}

const pkcs8Prefix = Buffer.from('302e020100300506032b657004220420', 'hex')
const spkiPrefix = Buffer.from('302a300506032b6570032100', 'hex')

function domainSeparated(kind: SignedKind, payload: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(`potluck/${kind}/1\n`, 'latin1'), payload])
}

export interface Signer {
  /** 32 bytes. */
  readonly publicKey: Uint8Array
  sign(kind: SignedKind, payload: Uint8Array): Signed
}

/** A signer from a 32-byte seed (tweetnacl's `sign.keyPair.fromSeed`). */
export function createSigner(seed: Uint8Array): Signer {
  const privateKey = createPrivateKey({
    key: Buffer.concat([pkcs8Prefix, seed]),
    format: 'der',
    type: 'pkcs8',
  })
  const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' })
  return {
    publicKey: new Uint8Array(spki.subarray(spkiPrefix.length)),
    sign(kind, payload) {
      const signature = edSign(null, domainSeparated(kind, payload), privateKey)
      return { payload, signature: new Uint8Array(signature) }
    },
  }
}

/** Whether `signed` is of `kind` by `publicKey` (32 bytes). Never throws. */
export function isSignedBy(kind: SignedKind, signed: Signed, publicKey: Uint8Array): boolean {
  const { payload, signature } = signed
  if (signature.length !== 64) return false
  if (!isSoundPoint(publicKey) || !isSoundPoint(signature.subarray(0, 32))) return false
  if (!isSoundScalar(signature.subarray(32))) return false
  try {
    const key = createPublicKey({
      key: Buffer.concat([spkiPrefix, publicKey]),
      format: 'der',
      type: 'spki',
    })
    return edVerify(null, domainSeparated(kind, payload), key, signature)
  } catch {
    return false // not a point on the curve
  }
}

/** Passes what is signed by `publicKey` only. @throws {BadSignatureError} unless `signed` is of `kind` by `publicKey`. */
export function assertSignedBy(kind: SignedKind, signed: Signed, publicKey: Uint8Array): void {
  if (!isSignedBy(kind, signed, publicKey)) throw new BadSignatureError(kind)
}
