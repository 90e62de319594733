/** The policy, address by address: what it must refuse, and how an operator's ranges open it. */
import { expect } from 'chai'
import fc from 'fast-check'
import { errorCode } from '../errors.ts'
import { type AddressClass, classifyAddress, embeddedIpv4 } from './address-class.ts'
import { createAddressPolicy } from './address-policy.ts'

const CLASSES: Readonly<Record<AddressClass, readonly string[]>> = {
  public: ['8.8.8.8', '1.1.1.1', '172.32.0.1', '100.128.0.1', '2606:4700::1111', '2a00:1450::1'],
  unspecified: ['0.0.0.0', '0.1.2.3', '::'],
  loopback: ['127.0.0.1', '127.255.255.254', '::1', '0:0:0:0:0:0:0:1'],
  private: ['10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1'],
  'carrier-grade NAT': ['100.64.0.1', '100.100.100.200', '100.127.255.255'],
  'link-local': ['169.254.169.254', 'fe80::1', 'fe80::1%eth0', 'febf::1'],
  multicast: ['224.0.0.1', '239.255.255.250', 'ff02::1'],
  broadcast: ['255.255.255.255'],
  documentation: ['192.0.2.1', '198.51.100.1', '203.0.113.9', '2001:db8::1', '3fff::1'],
  benchmarking: ['198.18.0.1', '198.19.255.255', '2001:2::1'],
  reserved: ['240.0.0.1', '192.0.0.192', '192.88.99.1', '2001:10::1', '4000::1', 'no address', ''],
  'cloud platform': ['168.63.129.16'],
  'unique local': ['fc00::1', 'fd00:ec2::254'],
  'site-local': ['fec0::1'],
  'IPv4-mapped': ['::ffff:127.0.0.1', '::ffff:8.8.8.8', '::ffff:7f00:1', '::ffff:0:8.8.8.8'],
  'IPv4-compatible': ['::127.0.0.1', '::8.8.8.8'],
  NAT64: ['64:ff9b::10.0.0.1', '64:ff9b::808:808', '64:ff9b:1::1'],
  '6to4': ['2002:7f00:1::', '2002:808:808::1'],
  Teredo: ['2001::1', '2001:0:4136:e378:8000:63bf:3fff:fdd2'],
}

describe('address policy', () => {
  for (const [addressClass, addresses] of Object.entries(CLASSES)) {
    it(`knows ${addressClass}`, () => {
      for (const address of addresses) {
        expect(classifyAddress(address), address).to.equal(addressClass)
        const check = (): void => createAddressPolicy().check('registry.example', address)
        if (addressClass === 'public') expect(check, address).not.to.throw()
        else
          expect(check, address)
            .to.throw('only public ones')
            .with.property('code', 'ADDRESS_REFUSED')
      }
    })
  }

  it('names host, address, class and the setting that would allow it', () => {
    const policy = createAddressPolicy({ setting: 'registries.allow' })
    expect(() => policy.check('db.example', '192.168.0.7')).to.throw(
      "db.example is at 192.168.0.7, a private address: only public ones are connected to. Name a public host, or have the operator add '192.168.0.7/32' (or a wider range) to registries.allow",
    )
  })

  it('opens what the operator lists, and nothing beside it', () => {
    const policy = createAddressPolicy({ allow: ['127.0.0.0/8', 'fd00::/16', '10.1.2.3'] })
    for (const address of ['127.0.0.1', '127.9.9.9', 'fd00::5', '10.1.2.3']) {
      expect(() => policy.check('h', address), address).not.to.throw()
    }
    for (const address of ['10.1.2.4', 'fd01::5', '::1', '::ffff:127.0.0.1', '169.254.169.254']) {
      expect(() => policy.check('h', address), address).to.throw('only public')
    }
  })

  it('judges the IPv4 address inside an allowed IPv6 range as well', () => {
    const policy = createAddressPolicy({ allow: ['64:ff9b::/96', '2002::/16', '::ffff:0:0/96'] })
    expect(() => policy.check('h', '64:ff9b::8.8.8.8')).not.to.throw()
    expect(() => policy.check('h', '::ffff:8.8.8.8')).not.to.throw()
    for (const address of ['64:ff9b::10.0.0.1', '2002:a00:1::', '::ffff:127.0.0.1', '127.0.0.1']) {
      expect(() => policy.check('h', address), address).to.throw('only public')
    }
  })

  it('finds the IPv4 address inside', () => {
    expect(embeddedIpv4('2002:7f00:1::')).to.equal('127.0.0.1')
    expect(embeddedIpv4('64:ff9b::10.0.0.1')).to.equal('10.0.0.1')
    expect(embeddedIpv4('2001:0:4136:e378:8000:63bf:3fff:fdd2')).to.equal('192.0.2.45')
    expect(embeddedIpv4('::ffff:10.0.0.1%eth0')).to.equal('10.0.0.1')
    expect(embeddedIpv4('2606:4700::1')).to.equal(undefined)
    expect(embeddedIpv4('10.0.0.1')).to.equal(undefined)
  })

  it('refuses ranges that are none', () => {
    for (const range of ['127.0.0.1/33', 'localhost', '::/129', '10.0.0.0/8/8', '', '1.2.3.4/-1']) {
      expect(() => createAddressPolicy({ allow: [range] }), range)
        .to.throw('CIDR')
        .with.property('code', 'ADDRESS_RANGE_INVALID')
    }
  })

  it('never lets private IPv4 through, in any of its spellings', () => {
    const inside = fc.constantFrom([10, 0], [127, 0], [192, 168], [169, 254], [100, 64], [172, 20])
    fc.assert(
      fc.property(inside, fc.nat(255), fc.nat(255), ([a, b], c, d) => {
        const address = [a, b, c, d].join('.')
        const hex = new URL(`http://[::${address}]/`).hostname.slice(3, -1)
        for (const spelling of [address, `::ffff:${address}`, `64:ff9b::${address}`, `::${hex}`]) {
          try {
            createAddressPolicy().check('h', spelling)
            expect.fail(`${spelling} passed`)
          } catch (error) {
            expect(errorCode(error), spelling).to.equal('ADDRESS_REFUSED')
          }
        }
      }),
    )
  })
})
