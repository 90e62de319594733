/**
 * NaCl's `box.before` with node:crypto doing the curve: tweetnacl's scalar multiplication takes half
 * a millisecond, and a coordinator that seals for thousands of nodes a second needs two of them for
 * each order. The result is tweetnacl's, bit for bit. Source: https://nacl.cr.yp.to/box.html
 */
import {
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto'
import nacl from 'tweetnacl'

/** DER of RFC 8410 in front of the 32 bytes of a key. */
const publicDer = Buffer.from('302a300506032b656e032100', 'hex')
const privateDer = Buffer.from('302e020100300506032b656e04220420', 'hex')

type LowLevel = Readonly<{
  crypto_core_hsalsa20(
    out: Uint8Array,
    input: Uint8Array,
    key: Uint8Array,
    constant: Uint8Array,
  ): number
}>
const { crypto_core_hsalsa20: hsalsa20 } = (nacl as unknown as { readonly lowlevel: LowLevel })
  .lowlevel
const sigma = new TextEncoder().encode('expand 32-byte k')
const zeroes = new Uint8Array(16)

/** A key pair for one message; the private half never leaves OpenSSL's memory. */
export function drawSender(): { readonly publicKey: Uint8Array; readonly privateKey: KeyObject } {
  const options = { publicKeyEncoding: { format: 'der', type: 'spki' } } as const
  // Its types know both halves encoded or none; the private one stays a key.
  const pair = generateKeyPairSync('x25519', options as object) as unknown
  const { publicKey, privateKey } = pair as { publicKey: Buffer; privateKey: KeyObject }
  return { publicKey: new Uint8Array(publicKey.subarray(publicDer.length)), privateKey }
}

/** The private half of tweetnacl's format. */
export function importPrivate(secretKey: Uint8Array): KeyObject {
  const key = Buffer.concat([privateDer, secretKey])
  try {
    return createPrivateKey({ key, format: 'der', type: 'pkcs8' })
  } finally {
    key.fill(0)
  }
}

/**
 * What both ends of a box share: 32 bytes. Undefined for a public key of small order, with which
 * everybody shares the same.
 */
export function sharedKey(publicKey: Uint8Array, privateKey: KeyObject): Uint8Array | undefined {
  const key = Buffer.concat([publicDer, publicKey])
  const peer = createPublicKey({ key, format: 'der', type: 'spki' })
  let point: Uint8Array
  try {
    point = diffieHellman({ privateKey, publicKey: peer })
  } catch {
    return undefined
  }
  const shared = new Uint8Array(32)
  hsalsa20(shared, zeroes, point, sigma)
  point.fill(0)
  return shared
}
