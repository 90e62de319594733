import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { BlockList } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import fc from 'fast-check'
import { errorCode } from '../../protocol/errors.ts'
import { createCountries, readCountries } from './index.ts'

const at = 'table'
const rows = (table: Record<string, string>) =>
  Object.entries(table).map(([prefix, country]) => ({ prefix, country, at }))

describe('coordinator/sessions: countries', () => {
  it('goes by the longest prefix, of IPv4 and IPv6, and knows what it does not know', () => {
    const countryOf = createCountries(
      rows({
        '203.0.0.0/8': 'us',
        '203.0.113.0/24': 'DE',
        '203.0.113.9': 'fr',
        '2001:db8::/32': 'nl',
        '2001:db8:0:1::/64': 'at',
      }),
    )
    expect(countryOf('/ip4/203.0.113.8/tcp/1')).to.equal('de')
    expect(countryOf('/ip4/203.0.113.9/tcp/1')).to.equal('fr')
    expect(countryOf('/ip4/203.9.9.9/tcp/1')).to.equal('us')
    expect(countryOf('/ip6/2001:db8:0:1::7/tcp/1')).to.equal('at')
    expect(countryOf('/ip6/2001:db8:0:2::7/tcp/1')).to.equal('nl')
    expect(countryOf('/ip6/::ffff:203.0.113.9/tcp/1')).to.equal('fr')
    expect(countryOf('/ip4/198.51.100.1/tcp/1')).to.equal(undefined)
    expect(countryOf('/ip6/2001:db9::1/tcp/1')).to.equal(undefined)
    expect(countryOf('nonsense')).to.equal(undefined)
  })

  it('says nothing of a peer behind a relay: the address is the relay’s', () => {
    const countryOf = createCountries(rows({ '0.0.0.0/0': 'us' }))
    const relay = '12D3KooWGRUyUmLcYH9LPiJwjkWBNBVdQdzBq3VLUsrPBBuX4yqK'
    expect(countryOf(`/ip4/203.0.113.8/tcp/1/p2p/${relay}/p2p-circuit`)).to.equal(undefined)
    expect(countryOf('/ip4/203.0.113.8/tcp/1')).to.equal('us')
  })

  it('agrees with node’s BlockList on any table', () => {
    const address = fc.ipV4()
    const prefix = fc.tuple(address, fc.integer({ min: 0, max: 32 }))
    fc.assert(
      fc.property(fc.array(prefix, { maxLength: 20 }), address, (table, asked) => {
        const countryOf = createCountries(
          table.map(([ip, bits]) => ({ prefix: `${ip}/${bits}`, country: 'de', at })),
        )
        const list = new BlockList()
        for (const [ip, bits] of table) list.addSubnet(ip, bits, 'ipv4')
        const expected = list.check(asked, 'ipv4') ? 'de' : undefined
        expect(countryOf(`/ip4/${asked}/tcp/1`)).to.equal(expected)
      }),
    )
  })

  describe('the operator’s file', () => {
    let folder: string
    beforeEach(async () => {
      folder = await mkdtemp(join(tmpdir(), 'potluck-countries-'))
    })
    afterEach(() => rm(folder, { recursive: true }))

    const problem = async (text: string): Promise<string> => {
      const file = join(folder, 'countries.csv')
      await writeFile(file, text)
      try {
        createCountries(await readCountries(file))
      } catch (error) {
        expect(errorCode(error)).to.equal('COUNTRIES_INVALID')
        return (error as Error).message
      }
      return 'fine'
    }

    it('is CSV with comments', async () => {
      expect(await problem('# ours\n\n10.0.0.0/8, de\r\nfd00::/8,at\n')).to.equal('fine')
    })

    it('is refused by file and line', async () => {
      expect(await problem('10.0.0.0/8,de\n10.0.0.0/33,de')).to.contain('countries.csv line 2')
      expect(await problem('10.0.0.0/8,germany')).to.contain("'germany' is no country")
      expect(await problem('10.0.0.0/8')).to.contain('`prefix,country`')
      expect(await problem('home,de')).to.contain("'home' is no prefix")
      const missing = await readCountries(join(folder, 'none')).catch((error) => error.message)
      expect(missing).to.contain('cannot be read')
    })
  })
})
