/**
 * What an Ed25519 implementation may or may not refuse, refused here first. tweetnacl accepts
 * S + L and small-order keys, node:crypto refuses them (and older Node takes the latter), so two
 * peers could disagree on one signature. Source: RFC 8032 5.1.7; Chalkias, Garillot, Nikolaenko,
 * "Taming the many EdDSAs", SSR 2020.
 */

const P = 2n ** 255n - 19n
const L = 2n ** 252n + 27742317777372353535851937790883648493n

/** y of the points of order 8; with 0, 1 and p − 1 all y of small-order points. */
const orderEightY = 0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n
const smallOrderY = new Set([0n, 1n, P - 1n, orderEightY, P - orderEightY])

function littleEndian(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`)
}

/** Whether 32 bytes are the canonical encoding of a y below p that no small-order point has. */
export function isSoundPoint(encoded: Uint8Array): boolean {
  if (encoded.length !== 32) return false
  const y = littleEndian(encoded) & (2n ** 255n - 1n)
  return y < P && !smallOrderY.has(y)
}

/** Whether 32 bytes, little-endian, are below the group's order L. */
export function isSoundScalar(encoded: Uint8Array): boolean {
  return encoded.length === 32 && littleEndian(encoded) < L
}
