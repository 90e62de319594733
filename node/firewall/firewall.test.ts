/** The rules, and that they are put in and taken out exactly, whatever else stands in the tables. */
import type { NetworkInterfaceInfo } from 'node:os'
import { expect } from 'chai'
import fc from 'fast-check'
import { type LogFields, silentLogger } from '../../protocol/log/index.ts'
import { createFakeIptables, type FakeIptables } from './fake-iptables.ts'
import { createFirewall, type Firewall } from './firewall.ts'
import { type Interfaces, networkOf, onLinkPrefixes } from './prefixes.ts'
import { buildRuleset, type RulesetInit } from './ruleset.ts'

const options = { signal: new AbortController().signal }
const init: RulesetInit = {
  tag: 'aabb',
  onLink: ['198.51.100.0/24'],
  masqueradePool: '198.18.0.0/16',
  closeForwarding: true,
  bridgeNetfilter: false,
  ipv6: true,
}

function address(cidr: string, change: Partial<NetworkInterfaceInfo> = {}): NetworkInterfaceInfo {
  const [ip = ''] = cidr.split('/')
  const base = { address: ip, netmask: '', mac: '', internal: false, cidr, family: 'IPv4' as const }
  return { ...base, ...change } as NetworkInterfaceInfo
}

function rulesOf(change: Partial<RulesetInit>, family: number, table: string) {
  const found = buildRuleset({ ...init, ...change }).find(
    (it) => it.family === family && it.name === table,
  )
  return found?.chains ?? {}
}

describe('node/firewall: the rules', () => {
  it('close the home’s ranges, the LAN’s public ones, mail, and the host in every form', () => {
    const rules = rulesOf({}, 4, 'mangle')['POTLUCK-EGRESS-aabb'] ?? []
    const closed = rules.map((rule) => /^-d (\S+) -j DROP$/.exec(rule)?.[1]).filter(Boolean)
    expect(closed).to.include.members([
      '0.0.0.0/8',
      '10.0.0.0/8',
      '100.64.0.0/10',
      '127.0.0.0/8',
      '169.254.0.0/16',
      '172.16.0.0/12',
      '192.0.0.0/24',
      '192.168.0.0/16',
      '198.18.0.0/15',
      '224.0.0.0/4',
      '240.0.0.0/4',
      '198.51.100.0/24',
    ])
    for (const type of ['LOCAL', 'BROADCAST', 'MULTICAST']) {
      expect(rules).to.include(`-m addrtype --dst-type ${type} -j DROP`)
    }
    expect(rules).to.include('-p tcp -m multiport --dports 25,465,587 -j DROP')
    // The one exception: an answer, never a call.
    expect(rules.filter((rule) => !rule.endsWith('DROP'))).to.deep.equal([
      '-m conntrack --ctstate ESTABLISHED --ctdir REPLY -j RETURN',
    ])
  })

  it('let nothing of IPv6 through', () => {
    expect(rulesOf({}, 6, 'mangle')).to.deep.equal({ 'POTLUCK-EGRESS-aabb': ['-j DROP'] })
    expect(rulesOf({ ipv6: false }, 6, 'mangle')).to.deep.equal({})
  })

  it('beside an engine that makes rules itself only take away', () => {
    const { masqueradePool: _, ...beside } = init
    const text = JSON.stringify(buildRuleset(beside))
    expect(text).not.to.contain('ACCEPT').and.not.to.contain('MASQUERADE')
    expect(text).to.contain('-o plk+ -j DROP')
  })

  it('leave bridged frames alone, and need no match for it where there are none', () => {
    const closed = (bridgeNetfilter: boolean) =>
      rulesOf({ bridgeNetfilter }, 4, 'filter')['POTLUCK-CLOSED-aabb']
    expect(closed(true)).to.deep.equal(['-m physdev --physdev-is-bridged -j RETURN', '-j DROP'])
    expect(closed(false)).to.deep.equal(['-j DROP'])
  })
})

describe('node/firewall: prefixes on link', () => {
  it('are those of the home’s own interfaces', () => {
    const interfaces: Interfaces = {
      lo: [address('127.0.0.1/8', { internal: true })],
      eth0: [address('198.51.100.7/24'), address('fe80::1/64', { family: 'IPv6' } as never)],
      wlan0: [address('198.51.100.9/24'), address('192.168.1.77/26')],
      tun0: [address('10.8.0.2/1')],
      plk0123456789: [address('198.18.0.1/28')],
      plkwhatever: [address('203.0.113.5/32')],
    }
    expect(onLinkPrefixes(interfaces)).to.deep.equal([
      '192.168.1.64/26',
      '198.51.100.0/24',
      '203.0.113.5/32',
    ])
  })

  it('property: the network of an address holds it, and has no bits beyond the length', () => {
    fc.assert(
      fc.property(fc.ipV4(), fc.integer({ min: 0, max: 32 }), (ip, bits) => {
        const toNumber = (text: string): bigint =>
          text.split('.').reduce((sum, part) => sum * 256n + BigInt(part), 0n)
        const [network = '', length] = networkOf(`${ip}/${bits}`)?.split('/') ?? []
        expect(length).to.equal(String(bits))
        const host = 2n ** BigInt(32 - bits)
        expect(toNumber(network)).to.equal((toNumber(ip) / host) * host)
      }),
    )
  })

  it('of nonsense there are none', () => {
    for (const text of ['', '1.2.3.4', '1.2.3.4/33', '1.2.3/8', 'fe80::1/64', '1.2.3.4/']) {
      expect(networkOf(text), text).to.equal(undefined)
    }
  })
})

type Rig = Readonly<{
  firewall: Firewall
  tables: FakeIptables
  warned: LogFields[]
  forwarding: { isOn: boolean; isNoted: boolean }
  interfaces: Record<string, NetworkInterfaceInfo[]>
}>

function createRig(tables = createFakeIptables(), tag = 'aabb', isOn = false): Rig {
  const forwarding = { isOn, isNoted: false }
  const warned: LogFields[] = []
  const interfaces = { eth0: [address('198.51.100.7/24')] }
  const firewall = createFirewall(
    { tag, masqueradePool: '198.18.0.0/16' },
    {
      logger: { ...silentLogger, warn: (fields) => void warned.push(fields) },
      iptables: tables,
      forwarding: {
        isOurs: async () => forwarding.isNoted || !forwarding.isOn,
        async enable() {
          forwarding.isNoted ||= !forwarding.isOn
          forwarding.isOn = true
        },
        async restore(isUsedByOthers) {
          if (forwarding.isNoted && !isUsedByOthers) forwarding.isOn = false
          forwarding.isNoted = false
        },
      },
      interfaces: () => interfaces,
      hasIpv6: async () => true,
      hasBridgeNetfilter: async () => false,
    },
  )
  return { firewall, tables, warned, forwarding, interfaces }
}

describe('node/firewall: in the tables', () => {
  it('stand after ensure, are not touched again, and are gone after stop', async () => {
    const { firewall, tables, forwarding } = createRig()
    expect(await firewall.check(options)).to.have.length(4)
    await firewall.ensure(options)
    expect(await firewall.check(options)).to.deep.equal([])
    expect(forwarding.isOn).to.equal(true)
    const changes = tables.restored.length
    await firewall.ensure(options)
    expect(tables.restored.length).to.equal(changes)
    await firewall.stop()
    await firewall.stop()
    expect(tables.dump()).to.deep.equal([])
    expect(forwarding.isOn).to.equal(false)
  })

  it('come first where they must, before what others put in later', async () => {
    const { firewall, tables, warned } = createRig()
    await firewall.ensure(options)
    tables.meddle(4, 'mangle', ['-I PREROUTING 1 -j ACCEPT'])
    expect(await firewall.check(options)).to.deep.equal(['ip4 mangle'])
    await firewall.ensure(options)
    expect(warned).to.deep.equal([{ tables: ['ip4 mangle'] }])
    const first = tables.dump().find((line) => line.startsWith('4 mangle PREROUTING'))
    expect(first).to.contain('POTLUCK-EGRESS')
  })

  it('follow the LAN when its addresses change', async () => {
    const { firewall, tables, interfaces } = createRig()
    await firewall.ensure(options)
    interfaces.eth0 = [address('203.0.113.7/24')]
    expect(await firewall.check(options)).to.deep.equal(['ip4 mangle'])
    await firewall.ensure(options)
    const text = tables.dump().join('\n')
    expect(text).to.contain('203.0.113.0/24').and.not.to.contain('198.51.100.0/24')
  })

  it('of two nodes do not meet: one’s stop leaves the other’s whole', async () => {
    const tables = createFakeIptables()
    const one = createRig(tables, 'aaaa')
    const other = createRig(tables, 'bbbb', true)
    await one.firewall.ensure(options)
    await other.firewall.ensure(options)
    expect(await one.firewall.check(options)).to.deep.equal([])
    await one.firewall.stop()
    expect(one.forwarding.isOn, 'the other still needs it').to.equal(true)
    expect(await other.firewall.check(options)).to.deep.equal([])
    expect(tables.dump().join('\n')).not.to.contain('aaaa')
  })

  it('of a killed daemon are taken over, not doubled', async () => {
    const tables = createFakeIptables()
    await createRig(tables).firewall.ensure(options)
    const before = tables.dump()
    const next = createRig(tables)
    await next.firewall.ensure(options)
    expect(tables.dump().toSorted()).to.deep.equal(before.toSorted())
    await next.firewall.stop()
    expect(tables.dump()).to.deep.equal([])
  })

  it('property: stop restores exactly what others had, whatever they did meanwhile', async () => {
    const chain = fc.constantFrom('mangle PREROUTING', 'mangle FORWARD', 'filter FORWARD')
    const verb = fc.constantFrom('-A', '-I')
    const rule = fc.integer({ min: 1, max: 9 }).map((at) => `-s 192.0.2.${at}/32 -j DROP`)
    const deed = fc.tuple(chain, verb, rule)
    const meddle = (tables: FakeIptables, deeds: readonly [string, string, string][]): void => {
      for (const [at, how, what] of deeds) {
        const [table = '', name = ''] = at.split(' ')
        tables.meddle(4, table, [`${how} ${name} ${how === '-I' ? '1 ' : ''}${what}`])
      }
    }
    await fc.assert(
      fc.asyncProperty(fc.array(deed), fc.array(deed), async (before, after) => {
        const { firewall, tables } = createRig()
        const alone = createFakeIptables()
        meddle(tables, before)
        await firewall.ensure(options)
        meddle(tables, after)
        await firewall.ensure(options)
        expect(await firewall.check(options)).to.deep.equal([])
        await firewall.stop()
        meddle(alone, before)
        meddle(alone, after)
        expect(tables.dump().toSorted()).to.deep.equal(alone.dump().toSorted())
      }),
      { numRuns: 50 },
    )
  })
})
