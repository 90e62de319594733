import { createSecretKey, randomBytes } from 'node:crypto'
import { defaultCrypto } from '@chainsafe/libp2p-noise/crypto'
import { expect } from 'chai'
import { thriftyCrypto } from './thrifty-noise.ts'

const key = randomBytes(32)
const ad = randomBytes(32)
const nonce = randomBytes(12)

describe('mesh/thrifty-noise', () => {
  for (const bytes of [0, 100, 1_183, 1_200, 65_519]) {
    it(`understands libp2p's own messages of ${bytes} bytes, and is understood`, () => {
      const plain = randomBytes(bytes)
      const [own, theirs] = [thriftyCrypto(), defaultCrypto]
      for (const [from, to] of [
        [own, theirs],
        [theirs, own],
      ] as const) {
        const sealed = from.chaCha20Poly1305Encrypt(plain, nonce, ad, key).subarray()
        const opened = to.chaCha20Poly1305Decrypt(sealed, nonce, ad, key)
        expect(plain.equals(opened.subarray())).to.equal(true)
      }
    })
  }

  it('refuses what was changed, or sealed with another key', () => {
    const crypto = thriftyCrypto()
    const sealed = crypto.chaCha20Poly1305Encrypt(randomBytes(2_000), nonce, ad, key).subarray()
    const open = (bytes: Uint8Array, by: Uint8Array) => () =>
      crypto.chaCha20Poly1305Decrypt(bytes, nonce, ad, by)
    expect(open(sealed, randomBytes(32))).to.throw()
    const changed = Uint8Array.from(sealed)
    changed[1_000] = 1 + (changed[1_000] ?? 0)
    expect(open(changed, key)).to.throw()
    expect(open(sealed, key)).not.to.throw()
  })

  it('makes a key once', () => {
    let made = 0
    const crypto = thriftyCrypto((bytes) => {
      made += 1
      return createSecretKey(bytes)
    })
    for (let turn = 0; turn < 3; turn += 1) {
      for (const each of [key, ad]) {
        const sealed = crypto.chaCha20Poly1305Encrypt(randomBytes(2_000), nonce, ad, each)
        crypto.chaCha20Poly1305Decrypt(sealed, nonce, ad, each)
      }
    }
    expect(made).to.equal(2)
  })
})
