import { randomBytes } from 'node:crypto'
import { expect } from 'chai'
import fc from 'fast-check'
import { PotluckError } from '../errors.ts'
import { identityFromSeed, peerIdOfPublicKey, publicKeyOfPeerId } from '../identity/index.ts'
import type { BundleId } from '../ids.ts'
import { sampleAdvert } from './advert.fixture.ts'
import { type CapacityAdvert, decodeAdvert, encodeAdvert } from './advert.ts'

describe('mesh/advert', () => {
  it('survives the wire, with as many bundles as allowed', async () => {
    const { peer } = await identityFromSeed(randomBytes(32))
    const bundles = Array.from({ length: 256 }, () => randomBytes(32).toString('hex') as BundleId)
    const advert: CapacityAdvert = { ...sampleAdvert(peer), bundles }
    const bytes = encodeAdvert(advert)
    expect(decodeAdvert(bytes)).to.deep.equal(advert)
    expect(bytes.length).to.be.below(10_000)
  })

  it('refuses more bundles than allowed, and fields out of range', async () => {
    const { peer } = await identityFromSeed(randomBytes(32))
    const good = sampleAdvert(peer)
    const bundle = '0'.repeat(64) as BundleId
    const bad: CapacityAdvert[] = [
      { ...good, bundles: Array.from({ length: 257 }, () => bundle) },
      { ...good, load: { ...good.load, cpu: 2 } },
      { ...good, memoryBytes: -1 },
      { ...good, region: 'Has Spaces' as CapacityAdvert['region'] },
    ]
    for (const advert of bad) {
      expect(() => decodeAdvert(encodeAdvert(advert))).to.throw(PotluckError)
    }
  })

  it('meets noise with known errors only', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        try {
          decodeAdvert(bytes)
          return false
        } catch (error) {
          return error instanceof PotluckError
        }
      }),
      { numRuns: 500 },
    )
  })
})

describe('mesh/identity', () => {
  it('derives peer, public key and back', async () => {
    // RFC 8032, 7.1, test 1.
    const seed = Buffer.from(
      '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
      'hex',
    )
    const publicKey = 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a'
    const { peer } = await identityFromSeed(seed)
    expect(Buffer.from(publicKeyOfPeerId(peer)).toString('hex')).to.equal(publicKey)
    expect(peerIdOfPublicKey(Buffer.from(publicKey, 'hex'))).to.equal(peer)
    expect(peer).to.match(/^12D3KooW/)
  })
})
