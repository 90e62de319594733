import { expect } from 'chai'
import type { PeerId } from '../ids.ts'
import type { PeerAddress } from '../mesh/index.ts'
import type { Guest } from './guest.ts'
import { ExchangeIntake, exchangeMs, PeerExchange, plausiblePeers } from './peer-exchange.ts'
import { exchangedAddressesMax, exchangedPeersMax } from './wire.ts'

const me = '12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN' as PeerId
const other = '12D3KooWGRUVh7hQHyVWnXsGQ5cLQvoGx8F8oTtbYPY1Xg8yYpY6' as PeerId

function setUp() {
  const exchange = new PeerExchange({
    addressesOf: async (peer) =>
      peer === 'away' ? [] : Array.from({ length: 20 }, (_, at) => `/ip4/10.0.0.${at}/tcp/1`),
    random: () => 0.5,
  })
  const guest = (peer: string) => {
    const named: PeerAddress[][] = []
    const it = { peer, name: (peers: PeerAddress[]) => named.push(peers) }
    return { guest: it as unknown as Guest, named }
  }
  return { exchange, guest }
}
const settled = () => new Promise((resolve) => setImmediate(resolve))

describe('swarm/peer-exchange', () => {
  it('tells a newcomer of the others at once, and them of it half a minute later', async () => {
    const { exchange, guest } = setUp()
    const [first, second] = [guest('first'), guest('second')]
    exchange.enter(first.guest, 0)
    await settled()
    expect(first.named).to.deep.equal([])
    exchange.enter(second.guest, 10)
    await settled()
    expect(second.named.flat().map(({ peer }) => peer)).to.deep.equal(['first'])
    exchange.tick(exchangeMs - 1)
    await settled()
    expect(first.named).to.deep.equal([])
    exchange.tick(exchangeMs)
    await settled()
    expect(first.named.flat().map(({ peer }) => peer)).to.deep.equal(['second'])
    exchange.tick(3 * exchangeMs)
    await settled()
    expect(first.named.length + second.named.length, 'nobody is named twice').to.equal(2)
  })

  it('keeps a message within its bounds, and names nobody who has left or has no address', async () => {
    const { exchange, guest } = setUp()
    for (let at = 0; at < 50; at++) exchange.enter(guest(`home ${at}`).guest, 0)
    const gone = guest('gone').guest
    exchange.enter(gone, 0)
    exchange.enter(guest('away').guest, 0)
    exchange.leave(gone)
    const late = guest('late')
    exchange.enter(late.guest, 0)
    await settled()
    exchange.tick(exchangeMs)
    await settled()
    expect(late.named[0]).to.have.length(exchangedPeersMax)
    expect(late.named[0]?.[0]?.addresses).to.have.length(exchangedAddressesMax)
    const names = late.named.flat().map(({ peer }) => peer as string)
    expect(new Set(names).size).to.equal(50)
    expect(names).not.to.include.members(['gone'])
    expect(names).not.to.include.members(['away'])
  })

  it('looks soon again for one whose addresses were not known yet', async () => {
    let known = false
    const exchange = new PeerExchange({
      addressesOf: async () => (known ? ['/ip4/10.0.0.1/tcp/1'] : []),
      random: () => 0.5,
    })
    const [first, second] = [setUp().guest('first'), setUp().guest('second')]
    exchange.enter(first.guest, 0)
    exchange.enter(second.guest, 0)
    await settled()
    known = true
    exchange.tick(1_000)
    await settled()
    expect(second.named.flat().map(({ peer }) => peer)).to.deep.equal(['first'])
  })

  it('takes only addresses that can be those of the peer', () => {
    const good = ['/ip4/10.0.0.1/tcp/4001', `/ip6/::1/tcp/1/p2p/${me}`]
    const relayed = `/ip4/10.0.0.2/tcp/1/p2p/${other}/p2p-circuit/p2p/${me}`
    const bad = [
      'nonsense',
      '/unix/tmp',
      `/ip4/10.0.0.1/tcp/1/p2p/${other}`,
      `/dns4/${'a'.repeat(300)}/tcp/1`,
    ]
    const [peer] = plausiblePeers([{ peer: me, addresses: [...good, relayed, ...bad] }])
    expect(peer?.addresses).to.deep.equal([...good, relayed])
    expect(plausiblePeers([{ peer: me, addresses: bad }])).to.deep.equal([])
  })

  it('finds a flood of messages, and none in reconnects or a quick clock', () => {
    const honest = new ExchangeIntake()
    for (let at = 0; at < 20; at++) expect(honest.admit(at * exchangeMs * 0.9)).to.equal(true)
    const flood = new ExchangeIntake()
    const verdicts = Array.from({ length: 10 }, (_, at) => flood.admit(at * 10))
    expect(verdicts).to.deep.equal([true, true, true, true, ...Array(6).fill(false)])
  })
})
