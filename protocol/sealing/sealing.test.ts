import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import fc from 'fast-check'
import nacl from 'tweetnacl'
import { BadRecipientKeyError, drawKeyPair, seal, UnsealError, unseal } from './box.ts'
import { createKeyRing } from './index.ts'

async function rejection(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => expect.fail('should have been refused'),
    (error: unknown) => error,
  )
}

describe('sealing', () => {
  let dir: string
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'potluck-keys-'))
  })
  afterEach(() => rm(dir, { recursive: true }))

  it('opens what was sealed to its key, also after a restart of the process', async () => {
    const [key] = await createKeyRing({ dir }).make(3)
    const sealed = seal(new TextEncoder().encode('s3cret'), key!)
    const reopened = createKeyRing({ dir })
    expect(new TextDecoder().decode(await reopened.open(sealed))).to.equal('s3cret')
  })

  it('refuses any change to the box, and a forgotten key', async () => {
    const ring = createKeyRing({ dir })
    const [key] = await ring.make(1)
    const sealed = seal(new Uint8Array(40), key!)
    await fc.assert(
      fc.asyncProperty(fc.nat(sealed.box.length - 1), fc.nat(7), async (at, bit) => {
        const box = sealed.box.slice()
        box[at]! ^= 1 << bit
        expect(await rejection(ring.open({ ...sealed, box }))).to.be.instanceOf(UnsealError)
      }),
      { numRuns: 40 },
    )
    await ring.forget(key!)
    expect(await rejection(ring.open(sealed))).to.be.instanceOf(UnsealError)
  })

  it('forgets all keys but those that held orders need', async () => {
    const ring = createKeyRing({ dir })
    const [held, spare] = await ring.make(2)
    await ring.forgetAllBut([held!])
    expect(await ring.open(seal(new Uint8Array(1), held!))).to.deep.equal(Buffer.alloc(1))
    expect(await rejection(ring.open(seal(new Uint8Array(1), spare!)))).to.be.instanceOf(
      UnsealError,
    )
  })

  it('makes and opens the boxes of tweetnacl, bit for bit', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (plaintext) => {
        const pair = drawKeyPair()
        const { box, nonce, senderKey } = seal(plaintext, pair.publicKey)
        expect(nacl.box.open(box, nonce, senderKey, pair.secretKey)).to.deep.equal(plaintext)
        const other = nacl.box.keyPair()
        const theirs = {
          ...{ recipientKey: pair.publicKey, senderKey: other.publicKey, nonce },
          box: nacl.box(plaintext, nonce, pair.publicKey, other.secretKey),
        }
        expect(unseal(theirs, pair.secretKey)).to.deep.equal(plaintext)
      }),
      { numRuns: 30 },
    )
  })

  it('seals nothing to a key with which everybody shares the same secret', () => {
    for (const key of [new Uint8Array(32), new Uint8Array(32).fill(1, 0, 1)]) {
      expect(() => seal(new Uint8Array(3), key)).to.throw(BadRecipientKeyError)
    }
  })
})
