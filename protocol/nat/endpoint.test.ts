import { expect } from 'chai'
import { endpointOf, formatEndpoint, isPrivateEndpoint, lineOf } from './endpoint.ts'

describe('protocol/nat endpoint', () => {
  it('reads plain TCP addresses and nothing else', () => {
    const peer = '12D3KooWGvRM3nTBP4xYyAYNeuEnq3A3nVvDvKB4fpXAZFWGQL9V'
    expect(endpointOf(`/ip4/198.51.100.7/tcp/4001/p2p/${peer}`)).to.deep.equal({
      ...{ family: 4, ip: '198.51.100.7', port: 4001 },
    })
    expect(endpointOf('/ip6/2001:db8::7/tcp/80')?.family).to.equal(6)
    for (const other of [
      `/ip4/198.51.100.7/tcp/4001/p2p/${peer}/p2p-circuit`,
      '/ip4/198.51.100.7/udp/4001',
      '/ip4/198.51.100.7/tcp/0',
      '/ip4/198.51.100.7/tcp/65536',
      '/ip4/2001:db8::7/tcp/80',
      '/ip6/::ffff:198.51.100.7.1/tcp/80',
      '/dns4/home.example/tcp/4001',
      '',
    ]) {
      expect(endpointOf(other), other).to.equal(undefined)
    }
  })

  it('writes what it reads', () => {
    for (const text of ['/ip4/198.51.100.7/tcp/4001', '/ip6/2001:db8::7/tcp/1']) {
      const endpoint = endpointOf(text)
      expect(endpoint && formatEndpoint(endpoint)).to.equal(text)
    }
  })

  it('tells private addresses from public ones', () => {
    const isPrivate = (text: string) => {
      const endpoint = endpointOf(text)
      return endpoint && isPrivateEndpoint(endpoint)
    }
    for (const at of ['10.0.0.1', '127.0.0.1', '192.168.1.1', '169.254.1.1', '100.64.0.1']) {
      expect(isPrivate(`/ip4/${at}/tcp/1`), at).to.equal(true)
    }
    for (const at of ['::1', 'fe80::1', 'fd00::1', '::ffff:10.0.0.1']) {
      expect(isPrivate(`/ip6/${at}/tcp/1`), at).to.equal(true)
    }
    expect(isPrivate('/ip4/8.8.8.8/tcp/1')).to.equal(false)
    expect(isPrivate('/ip6/2a00:1450::1/tcp/1')).to.equal(false)
  })

  it('takes a /64 of IPv6 for one line', () => {
    const line = (text: string) => {
      const endpoint = endpointOf(`${text}/tcp/1`)
      return endpoint && lineOf(endpoint)
    }
    expect(line('/ip6/2a00:1:2:3::1')).to.equal(line('/ip6/2a00:1:2:3:4:5:6:7'))
    expect(line('/ip6/2a00:1::1')).to.equal(line('/ip6/2a00:1:0:0:9::'))
    expect(line('/ip6/2a00:1:2:3::1')).to.not.equal(line('/ip6/2a00:1:2:4::1'))
    expect(line('/ip4/8.8.8.8')).to.not.equal(line('/ip4/8.8.8.9'))
  })
})
