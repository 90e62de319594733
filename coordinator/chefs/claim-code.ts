/**
 * Claim codes: what binds a node to a chef. Short-lived, used once, read out and typed by people:
 * 100 random bits in Crockford's base 32, which has no letters that look like digits. Only a hash is
 * kept; with that many bits it needs no salt and no slow hash.
 */
import { createHash } from 'node:crypto'

const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
const symbols = 20
const group = 4

/** `7ZQ2-M4KD-…`. @param random so many random bytes */
export function drawClaimCode(random: (length: number) => Uint8Array): string {
  // 256 is a multiple of 32: no symbol comes more often than another.
  const text = [...random(symbols)].map((byte) => alphabet[byte % alphabet.length]).join('')
  return text.match(new RegExp(`.{${group}}`, 'g'))?.join('-') ?? text
}

/** The hash of a code as people type it: in any case, with or without hyphens, O for 0, l for 1. */
export function hashClaimCode(typed: string): Uint8Array {
  const code = typed.toUpperCase().replace(/[\s-]/g, '').replace(/O/g, '0').replace(/[IL]/g, '1')
  return new Uint8Array(createHash('sha256').update(code, 'utf8').digest())
}
