import { expect } from 'chai'
import fc from 'fast-check'
import { classifyAddress, createAddressPolicy } from './index.ts'
import { checkTenantHost, checkTenantUrl } from './tenant-url.ts'

describe('protocol/address: URLs of tenants', () => {
  const policy = createAddressPolicy()

  it('takes public hosts, and private ones that the operator allows', () => {
    for (const url of [
      'https://hooks.example/a?b#c',
      'http://8.8.8.8:8080/',
      'http://[2606:4700::1]/',
    ]) {
      expect(checkTenantUrl(url, policy)).to.be.instanceOf(URL)
    }
    const allowing = createAddressPolicy({ allow: ['127.0.0.0/8'] })
    expect(checkTenantUrl('http://127.0.0.1:1/', allowing).port).to.equal('1')
    expect(checkTenantUrl('http://localhost/', allowing).hostname).to.equal('localhost')
  })

  it('never takes an address literal that is not public, however it is written', () => {
    const part = fc.integer({ min: 0, max: 255 })
    const spelled = fc.constantFrom(
      (ip: readonly number[]) => ip.join('.'),
      (ip: readonly number[]) => ip.map((byte) => `0x${byte.toString(16)}`).join('.'),
      (ip: readonly number[]) => ip.map((byte) => `0${byte.toString(8)}`).join('.'),
      (ip: readonly number[]) => String(Buffer.from(ip).readUInt32BE(0)),
      (ip: readonly number[]) => `[::ffff:${ip.join('.')}]`,
    )
    const start = fc.constantFrom([127], [10], [192, 168], [169, 254], [0], [100, 64], [224])
    fc.assert(
      fc.property(start, fc.tuple(part, part, part), spelled, (first, rest, spell) => {
        const bytes = [...first, ...rest].slice(0, 4)
        if (classifyAddress(bytes.join('.')) === 'public') return
        expect(() => checkTenantUrl(`http://${spell(bytes)}/`, policy)).to.throw(Error, 'address')
      }),
    )
  })

  it('takes hosts of log sinks by the same rules', () => {
    for (const host of [
      'logs.example',
      'logs.example:514',
      '8.8.8.8',
      '2606:4700::1',
      'https://a.example/x',
    ]) {
      checkTenantHost(host, policy)
    }
    for (const host of [
      '127.0.0.1',
      '10.0.0.1:514',
      '::1',
      '[fe80::1]',
      'localhost',
      '0x7f000001',
    ]) {
      expect(() => checkTenantHost(host, policy), host).to.throw(Error, 'address')
    }
    for (const host of ['', 'a b', 'u:p@a.example', 'ftp://a.example']) {
      expect(() => checkTenantHost(host, policy), host).to.throw(Error, /must/)
    }
  })

  it('takes no other scheme and no credentials, and does not repeat them', () => {
    for (const url of ['', 'x', 'ftp://a.example/', 'file:///etc', 'javascript:1', 'https://']) {
      expect(() => checkTenantUrl(url, policy)).to.throw(Error, 'https://')
    }
    expect(() => checkTenantUrl('https://u:canary@a.example/', policy))
      .to.throw(Error, 'password')
      .and.not.to.match(/canary/)
  })
})
