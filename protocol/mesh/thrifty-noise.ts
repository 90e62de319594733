/**
 * Noise that prepares a connection's keys once. libp2p's own gives Node the bytes of a key with each
 * message, and Node makes a key of them each time: 40 µs, three times what encrypting a packet
 * takes, of each message on every connection.
 */
import { createSecretKey, type KeyObject } from 'node:crypto'
import type { ICryptoInterface } from '@chainsafe/libp2p-noise'
import { defaultCrypto, nodeCrypto } from '@chainsafe/libp2p-noise/crypto'

/** Shorter ones libp2p encrypts in WebAssembly, without Node. */
const nodeFromBytes = 1_200

/** The handshake and short messages are libp2p's own. @param makeKey as Node's, for tests */
export function thriftyCrypto(
  makeKey: (bytes: Uint8Array) => KeyObject = createSecretKey,
): ICryptoInterface {
  const made = new WeakMap<Uint8Array, KeyObject>()
  /** Node takes it wherever it takes bytes; libp2p only passes it on. */
  const keyOf = (bytes: Uint8Array): Uint8Array => {
    const key = made.get(bytes) ?? makeKey(bytes)
    made.set(bytes, key)
    return key as unknown as Uint8Array
  }
  return {
    ...defaultCrypto,
    chaCha20Poly1305Encrypt: (plaintext, nonce, ad, key) =>
      plaintext.byteLength < nodeFromBytes
        ? defaultCrypto.chaCha20Poly1305Encrypt(plaintext, nonce, ad, key)
        : nodeCrypto.chaCha20Poly1305Encrypt(plaintext, nonce, ad, keyOf(key)),
    chaCha20Poly1305Decrypt: (ciphertext, nonce, ad, key, dst) =>
      ciphertext.byteLength < nodeFromBytes
        ? defaultCrypto.chaCha20Poly1305Decrypt(ciphertext, nonce, ad, key, dst)
        : nodeCrypto.chaCha20Poly1305Decrypt(ciphertext, nonce, ad, keyOf(key), dst),
  }
}
