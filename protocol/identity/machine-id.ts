/**
 * A node's id as the contract wants it: a UUID. Made from the peer id alone, so that every part of
 * Potluck (API, container environment, tokens) gets the same one without asking.
 */
import { createHash } from 'node:crypto'
import type { PeerId } from '../ids.ts'

/** Drawn once; changing it would rename every machine. */
const namespace = Buffer.from('7b1f9d0e3c5a4f6893d2a8c47e15b60d', 'hex')

/** UUID version 5 (RFC 9562, 5.5) of the peer id in Potluck's namespace. */
export function machineIdOf(peer: PeerId): string {
  const hash = createHash('sha1').update(namespace).update(peer, 'utf8').digest().subarray(0, 16)
  hash.writeUInt8((hash.readUInt8(6) & 0x0f) | 0x50, 6)
  hash.writeUInt8((hash.readUInt8(8) & 0x3f) | 0x80, 8)
  return hash.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
