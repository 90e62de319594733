import { expect } from 'chai'
import fc from 'fast-check'
import { createNetwork, formatNetworkFile, NetworkFileError, parseNetworkFile } from './index.ts'

const make = () =>
  createNetwork({
    name: 'home',
    coordinatorAddrs: ['/ip4/203.0.113.1/tcp/4001'],
    issuedMs: 1_700_000_000_000,
  })

describe('network file', () => {
  it('reads back what it wrote', async () => {
    const { network } = await make()
    expect(parseNetworkFile(formatNetworkFile(network), 'n.json')).to.deep.equal(network)
  })

  it('keeps the countries of private networks, and names one that is not valid', async () => {
    const { network } = await make()
    const countries = { '10.1.0.0/16': 'de', 'fd00::/8': 'at' }
    const text = formatNetworkFile({ ...network, countries })
    expect(parseNetworkFile(text, 'a').countries).to.deep.equal(countries)
    expect(() => parseNetworkFile(text.replace('10.1.0.0/16', 'home'), 'a')).to.throw(
      NetworkFileError,
      'countries: home',
    )
    expect(() => parseNetworkFile(text.replace('"de"', '"Germany"'), 'a')).to.throw(
      NetworkFileError,
      '/countries',
    )
  })

  it("refuses another network's certificate and another root key", async () => {
    const [mine, theirs] = [await make(), await make()]
    const mixed = { ...mine.network, certificate: theirs.network.certificate }
    expect(() => parseNetworkFile(formatNetworkFile(mixed), 'n.json')).to.throw(
      NetworkFileError,
      'certificate',
    )
    const swapped = { ...mine.network, rootKey: theirs.network.rootKey }
    expect(() => parseNetworkFile(formatNetworkFile(swapped), 'n.json')).to.throw(
      NetworkFileError,
      'its root key makes',
    )
  })

  it('names what is wrong in any damaged file, and throws nothing else', async () => {
    const text = formatNetworkFile((await make()).network)
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.string(), (at, junk) => {
        try {
          parseNetworkFile(text.slice(0, at) + junk + text.slice(at + junk.length), 'n.json')
        } catch (error) {
          expect(error).to.be.instanceOf(NetworkFileError)
        }
      }),
    )
  })
})
