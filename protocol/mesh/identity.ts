/**
 * From a 32-byte Ed25519 seed to what libp2p calls a peer. A process keeps its seed; all else is
 * derived, so that an identity is one short secret and never two that may disagree.
 */
import assert from 'node:assert/strict'
import { generateKeyPairFromSeed, publicKeyFromRaw } from '@libp2p/crypto/keys'
import type { Ed25519PrivateKey, PeerId as Libp2pPeerId } from '@libp2p/interface'
import { peerIdFromPrivateKey, peerIdFromPublicKey, peerIdFromString } from '@libp2p/peer-id'
import type { PeerId } from '../ids.ts'

/** The private key of a 32-byte Ed25519 seed (RFC 8032, 5.1.5). */
export async function privateKeyOfSeed(seed: Uint8Array): Promise<Ed25519PrivateKey> {
  assert(seed.length === 32, 'a seed is 32 bytes')
  return await generateKeyPairFromSeed('Ed25519', seed)
}

/** The peer id that a 32-byte seed has on the mesh. */
export async function peerIdOfSeed(seed: Uint8Array): Promise<PeerId> {
  return peerIdFromPrivateKey(await privateKeyOfSeed(seed)).toString() as PeerId
}

/** The peer id of a raw 32-byte Ed25519 public key. @throws when the point is not on the curve. */
export function peerIdOfPublicKey(publicKey: Uint8Array): PeerId {
  assert(publicKey.length === 32, 'an Ed25519 public key is 32 bytes')
  return peerIdFromPublicKey(publicKeyFromRaw(publicKey)).toString() as PeerId
}

/**
 * The raw 32-byte Ed25519 public key inside a peer id, or undefined where the id holds another
 * kind of key (RSA ids are hashes; Potluck's peers never have one).
 */
export function publicKeyOfPeerId(peer: PeerId): Uint8Array | undefined {
  const id = peerIdFromString(peer)
  return id.type === 'Ed25519' ? id.publicKey.raw : undefined
}

/** Potluck's name of a libp2p peer. */
export function peerIdOf(peer: Libp2pPeerId): PeerId {
  return peer.toString() as PeerId
}

/** libp2p's object for a peer. @throws when the text is not a peer id. */
export function toLibp2pPeerId(peer: PeerId): Libp2pPeerId {
  return peerIdFromString(peer)
}
