import { expect } from 'chai'
import { identityFromSeed } from '../../protocol/identity/index.ts'
import type { PeerId } from '../../protocol/ids.ts'
import { verdictCodec } from '../../protocol/nat/index.ts'
import { readReach, worthDialling } from './reach.ts'

const node = '12D3KooWGvRM3nTBP4xYyAYNeuEnq3A3nVvDvKB4fpXAZFWGQL9V' as PeerId
const other = '12D3KooWEFRGyz31LmZH1zmFmMAoy86zb4FzUx7wQGK4ybh775cb' as PeerId

describe('coordinator/sessions reach', () => {
  const verdictBy = async (seed: number, ip: string, open: number[], peer: PeerId = node) => {
    const { peer: by, signer } = await identityFromSeed(new Uint8Array(32).fill(seed))
    const verdict = { v: 1 as const, peer, by, nonce: new Uint8Array(16), ip, open, atMs: 1 }
    return { by, signed: signer.sign('reach', verdictCodec.encode(verdict)) }
  }

  it('believes the verdicts of its judges, about this peer, each family apart', async () => {
    const v4 = await verdictBy(1, '198.51.100.7', [])
    const v6 = await verdictBy(1, '2001:db8::7', [4001])
    const trusts = (by: PeerId): boolean => by === v4.by
    const read = (...all: { signed: typeof v4.signed }[]) =>
      readReach(
        all.map(({ signed }) => signed),
        { peer: node, trusts },
      )
    expect(read(v4, v6)).to.deep.equal({ ipv4: 'nat', ipv6: 'public' })
    const stranger = await verdictBy(2, '198.51.100.7', [4001])
    const ofAnother = await verdictBy(1, '198.51.100.7', [4001], other)
    const forged = { signed: { ...v4.signed, payload: stranger.signed.payload } }
    const noise = { signed: { ...v4.signed, payload: new Uint8Array([1, 2, 3]) } }
    for (const bad of [stranger, ofAnother, forged, noise]) {
      expect(read(bad)).to.deep.equal({ ipv4: 'unknown', ipv6: 'unknown' })
    }
  })

  it('names no public address that nobody can dial, but those on a LAN and at relays', () => {
    const addrs = [
      '/ip4/192.168.1.2/tcp/4001',
      '/ip4/8.8.8.8/tcp/4001',
      '/ip6/2a00:1450::1/tcp/4001',
      `/ip4/8.8.4.4/tcp/4001/p2p/${other}/p2p-circuit`,
      '/dns4/home.example/tcp/4001',
    ]
    const closed = worthDialling(addrs, { ipv4: 'nat', ipv6: 'unknown' })
    expect(closed).to.deep.equal(addrs.filter((address) => address !== '/ip4/8.8.8.8/tcp/4001'))
    expect(worthDialling(addrs, { ipv4: 'public', ipv6: 'unknown' })).to.deep.equal(addrs)
  })
})
