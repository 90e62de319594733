/**
 * A peer's identity: an Ed25519 seed in a file of its own, and the libp2p peer id that follows from
 * it. One seed serves Noise (through libp2p) and signatures (through signing), so that who speaks
 * on a connection and who signed are the same key.
 */
import { randomBytes } from 'node:crypto'
import { chmod, mkdir, open, readFile, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import { generateKeyPairFromSeed, publicKeyFromRaw } from '@libp2p/crypto/keys'
import type { PrivateKey } from '@libp2p/interface'
import { peerIdFromPrivateKey, peerIdFromPublicKey, peerIdFromString } from '@libp2p/peer-id'
import { errorCode, PotluckError } from '../errors.ts'
import type { PeerId } from '../ids.ts'
import { createSigner, type Signer } from '../signing/index.ts'

/** A key file that is not one, or that others may read. */
export class KeyFileError extends PotluckError {
  constructor(path: string, reason: string, cause?: unknown) {
    super('KEY_FILE_UNUSABLE', `key file ${path}: ${reason}`, { cause, fields: { path } })
  }
}

export type Identity = Readonly<{
  peer: PeerId
  /** For libp2p's host. */
  privateKey: PrivateKey
  signer: Signer
}>

/** The identity that a 32-byte seed makes. */
export async function identityFromSeed(seed: Uint8Array): Promise<Identity> {
  const privateKey = await generateKeyPairFromSeed('Ed25519', seed)
  const peer = peerIdFromPrivateKey(privateKey).toString() as PeerId
  return { peer, privateKey, signer: createSigner(seed) }
}

/** The peer id of a raw Ed25519 public key (32 bytes). */
export function peerIdOfPublicKey(publicKey: Uint8Array): PeerId {
  return peerIdFromPublicKey(publicKeyFromRaw(publicKey)).toString() as PeerId
}

/** The raw Ed25519 public key in a peer id. @throws {PotluckError} it carries none. */
export function publicKeyOfPeerId(peer: PeerId): Uint8Array {
  const { publicKey } = peerIdFromString(peer)
  if (publicKey?.type !== 'Ed25519') {
    throw new PotluckError('PEER_ID_UNUSABLE', `peer ${peer} has no Ed25519 key in its id`)
  }
  return publicKey.raw
}

/**
 * A seed from `path`, made on first use. The file is 64 hex digits, readable by its owner only.
 * @throws {KeyFileError} it holds something else.
 */
export async function loadOrCreateSeed(path: string): Promise<Uint8Array> {
  try {
    return await loadSeed(path)
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error
  }
  const seed = new Uint8Array(randomBytes(32))
  await writeSeed(path, seed)
  return seed
}

/** Reads a seed and closes its file to others. @throws {KeyFileError} @throws ENOENT as the file system says it. */
export async function loadSeed(path: string): Promise<Uint8Array> {
  const text = (await readFile(path, 'latin1')).trim()
  if (!/^[0-9a-f]{64}$/.test(text)) {
    throw new KeyFileError(path, 'must hold 64 hex digits and nothing else; restore it from backup')
  }
  await chmod(path, 0o600)
  return new Uint8Array(Buffer.from(text, 'hex'))
}

/** Writes a seed so that a crash leaves the old file or the new one, never half of it. */
export async function writeSeed(path: string, seed: Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const draft = `${path}.${process.pid}.tmp`
  const file = await open(draft, 'w', 0o600)
  try {
    await file.writeFile(`${Buffer.from(seed).toString('hex')}\n`)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(draft, path)
}
