import { expect } from 'chai'
import { createHouseholds, createNetworkOf } from './index.ts'

describe('households', () => {
  it('are what networks are', () => {
    const householdOf = createHouseholds(['10.0.0.0/8', 'fd00::/8'])
    expect(householdOf('/ip4/203.0.113.9/tcp/1')).to.equal('203.0.113.9')
    expect(householdOf('/ip6/2001:db8:1:2:3:4:5:6/tcp/1')).to.equal('2001:db8:1:2::/64')
    expect(householdOf('/ip6/2001:db8:1:2::9/tcp/1')).to.equal('2001:db8:1:2::/64')
    expect(householdOf('/ip6/2001:db8::1/tcp/1')).to.equal('2001:db8:0:0::/64')
    expect(householdOf('/ip6/fd00::1/tcp/1')).to.equal('fd00::1')
    expect(householdOf('/ip4/10.1.2.3/tcp/1')).to.equal('10.1.2.3')
  })

  it('prove a line only from beyond it', () => {
    const networkOf = createNetworkOf(['10.0.0.0/8'])
    expect(networkOf('/ip4/9.9.9.9/tcp/1')).to.equal('9.9.9.9')
    expect(networkOf('/ip4/10.1.2.3/tcp/1')).to.equal('10.1.2.3')
    expect(networkOf('/ip4/192.168.1.2/tcp/1')).to.equal(undefined)
    expect(networkOf('/ip4/127.0.0.1/tcp/1')).to.equal(undefined)
    const relay = '/ip4/9.9.9.9/tcp/1/p2p/12D3KooWKnDdG3iXw9eTFijk3EWSunZcFi54Zka4wmtqtt6rPxc8'
    expect(networkOf(`${relay}/p2p-circuit`)).to.equal(undefined)
  })
})
