import { expect } from 'chai'
import fc from 'fast-check'
import nacl from 'tweetnacl'
import { isSoundPoint } from './points.ts'
import { assertSignedBy, BadSignatureError, createSigner, isSignedBy } from './signing.ts'

const L = 2n ** 252n + 27742317777372353535851937790883648493n
const bytes = (min: number, max = min) => fc.uint8Array({ minLength: min, maxLength: max })

function plusL(signature: Uint8Array): Uint8Array {
  const s = BigInt(`0x${Buffer.from(signature.subarray(32)).reverse().toString('hex')}`) + L
  const tail = Buffer.from(s.toString(16).padStart(64, '0'), 'hex').reverse()
  return Buffer.concat([signature.subarray(0, 32), tail])
}

describe('signing', () => {
  it('agrees with tweetnacl on keys, signatures and verdicts', () => {
    fc.assert(
      fc.property(bytes(32), bytes(0, 200), (seed, payload) => {
        const signer = createSigner(seed)
        const reference = nacl.sign.keyPair.fromSeed(seed)
        expect(signer.publicKey).to.deep.equal(reference.publicKey)
        const signed = signer.sign('ticket', payload)
        const message = Buffer.concat([Buffer.from('potluck/ticket/1\n'), payload])
        expect(signed.signature).to.deep.equal(nacl.sign.detached(message, reference.secretKey))
        expect(isSignedBy('ticket', signed, signer.publicKey)).to.equal(true)
      }),
      { numRuns: 30 },
    )
  })

  it("signs RFC 8032's first vector's key", () => {
    const seed = Buffer.from(
      '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
      'hex',
    )
    expect(Buffer.from(createSigner(seed).publicKey).toString('hex')).to.equal(
      'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
    )
  })

  it('refuses another kind, another key, and any flipped bit', () => {
    const signer = createSigner(new Uint8Array(32).fill(7))
    const signed = signer.sign('allocation', new Uint8Array([1, 2, 3]))
    expect(isSignedBy('ticket', signed, signer.publicKey)).to.equal(false)
    const other = createSigner(new Uint8Array(32).fill(8)).publicKey
    expect(isSignedBy('allocation', signed, other)).to.equal(false)
    fc.assert(
      fc.property(fc.nat(66), fc.nat(7), (at, bit) => {
        const whole = Buffer.concat([signed.payload, signed.signature])
        whole[at]! ^= 1 << bit
        const forged = { payload: whole.subarray(0, 3), signature: whole.subarray(3) }
        expect(() => assertSignedBy('allocation', forged, signer.publicKey)).to.throw(
          BadSignatureError,
        )
      }),
    )
  })

  it('refuses S + L, which tweetnacl takes', () => {
    const pair = nacl.sign.keyPair.fromSeed(new Uint8Array(32).fill(9))
    const signer = createSigner(new Uint8Array(32).fill(9))
    const payload = new Uint8Array([5])
    const signed = signer.sign('roster', payload)
    const malleated = { payload, signature: plusL(signed.signature) }
    const message = Buffer.concat([Buffer.from('potluck/roster/1\n'), payload])
    expect(nacl.sign.detached.verify(message, malleated.signature, pair.publicKey)).to.equal(true)
    expect(isSignedBy('roster', malleated, signer.publicKey)).to.equal(false)
  })

  it('refuses every small-order point and non-canonical encodings', () => {
    const encodings = [
      '0100000000000000000000000000000000000000000000000000000000000000',
      '0100000000000000000000000000000000000000000000000000000000000080',
      'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
      'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
      '0000000000000000000000000000000000000000000000000000000000000000',
      '0000000000000000000000000000000000000000000000000000000000000080',
      '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
      '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85',
      'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
      'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa',
      'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
      'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
      'ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
    ]
    for (const hex of encodings) {
      const point = Buffer.from(hex, 'hex')
      expect(isSoundPoint(point), hex).to.equal(false)
      const forged = { payload: new Uint8Array(1), signature: new Uint8Array(64) }
      expect(isSignedBy('ticket', forged, point), hex).to.equal(false)
    }
  })
})
