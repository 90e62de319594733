/**
 * What kind of place an IP address leads to. A tenant names registries, realms and web hooks; without
 * this table a name like `db.example` that points at 192.168.0.7 would let a stranger talk to the
 * operator's own network. Sources: IANA's IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890
 * and its updates), RFC 6052 (NAT64), RFC 3056 (6to4), RFC 4380 (Teredo).
 */
import { BlockList, isIP, isIPv4 } from 'node:net'

/** `public`, or why an address is none of the public internet. */
export type AddressClass =
  | 'public'
  | 'unspecified'
  | 'loopback'
  | 'private'
  | 'carrier-grade NAT'
  | 'link-local'
  | 'multicast'
  | 'broadcast'
  | 'documentation'
  | 'benchmarking'
  | 'reserved'
  | 'cloud platform'
  | 'unique local'
  | 'site-local'
  | 'IPv4-mapped'
  | 'IPv4-compatible'
  | 'NAT64'
  | '6to4'
  | 'Teredo'

type Range = readonly [prefix: string, bits: number, AddressClass]

/** The first range that holds the address decides. */
const IPV4_RANGES: readonly Range[] = [
  ['0.0.0.0', 8, 'unspecified'],
  ['10.0.0.0', 8, 'private'],
  ['100.64.0.0', 10, 'carrier-grade NAT'],
  ['127.0.0.0', 8, 'loopback'],
  // A public number that Azure answers inside every virtual machine, with that machine's secrets.
  ['168.63.129.16', 32, 'cloud platform'],
  ['169.254.0.0', 16, 'link-local'],
  ['172.16.0.0', 12, 'private'],
  ['192.0.0.0', 24, 'reserved'],
  ['192.0.2.0', 24, 'documentation'],
  ['192.88.99.0', 24, 'reserved'],
  ['192.168.0.0', 16, 'private'],
  ['198.18.0.0', 15, 'benchmarking'],
  ['198.51.100.0', 24, 'documentation'],
  ['203.0.113.0', 24, 'documentation'],
  ['224.0.0.0', 4, 'multicast'],
  ['255.255.255.255', 32, 'broadcast'],
  ['240.0.0.0', 4, 'reserved'],
]

/** Only 2000::/3 is global unicast; whatever no line names is reserved. */
const IPV6_RANGES: readonly Range[] = [
  ['::', 128, 'unspecified'],
  ['::1', 128, 'loopback'],
  ['::ffff:0:0', 96, 'IPv4-mapped'],
  ['::ffff:0:0:0', 96, 'IPv4-mapped'], // SIIT's "IPv4-translated", RFC 2765
  ['::', 96, 'IPv4-compatible'],
  ['64:ff9b::', 96, 'NAT64'],
  ['64:ff9b:1::', 48, 'NAT64'],
  ['fe80::', 10, 'link-local'],
  ['fec0::', 10, 'site-local'],
  ['fc00::', 7, 'unique local'],
  ['ff00::', 8, 'multicast'],
  ['2001::', 32, 'Teredo'],
  ['2001:2::', 48, 'benchmarking'],
  ['2001:db8::', 32, 'documentation'],
  ['2001::', 23, 'reserved'],
  ['2002::', 16, '6to4'],
  ['3fff::', 20, 'documentation'],
  ['2000::', 3, 'public'],
]

/**
 * A list for each range, asked only about addresses of its own family: node's BlockList lets an
 * IPv6 rule for ::ffff:0:0/96 match every IPv4 address.
 */
function compile(ranges: readonly Range[], family: 'ipv4' | 'ipv6') {
  return ranges.map(([prefix, bits, addressClass]) => {
    const list = new BlockList()
    list.addSubnet(prefix, bits, family)
    return { list, addressClass }
  })
}

const ipv4 = compile(IPV4_RANGES, 'ipv4')
const ipv6 = compile(IPV6_RANGES, 'ipv6')

/** `fe80::1%eth0` without its zone, which the URL parser refuses and no class depends on. */
export function withoutZone(address: string): string {
  const at = address.indexOf('%')
  return at === -1 ? address : address.slice(0, at)
}

/**
 * The class of an IP address in text form. Text that is no address is `reserved`: nothing that we
 * cannot read is let through.
 */
export function classifyAddress(address: string): AddressClass {
  const bare = withoutZone(address)
  const family = isIP(bare)
  if (family === 0) return 'reserved'
  const held = (family === 4 ? ipv4 : ipv6).find(({ list }) =>
    list.check(bare, family === 4 ? 'ipv4' : 'ipv6'),
  )
  return held?.addressClass ?? (family === 4 ? 'public' : 'reserved')
}

/**
 * The IPv4 address that an IPv6 address of a translating class leads to, in dotted form; undefined
 * for all others. Teredo hides the client's address inverted in the last 32 bits.
 */
export function embeddedIpv4(address: string): string | undefined {
  const groups = ipv6Groups(withoutZone(address))
  if (!groups) return undefined
  const [, second = 0, third = 0, , , , seventh = 0, eighth = 0] = groups
  switch (classifyAddress(address)) {
    case 'IPv4-mapped':
    case 'IPv4-compatible':
    case 'NAT64':
      return dotted(seventh, eighth)
    case '6to4':
      return dotted(second, third)
    case 'Teredo':
      return dotted(seventh ^ 0xffff, eighth ^ 0xffff)
    default:
      return undefined
  }
}

function dotted(high: number, low: number): string {
  return [high >> 8, high & 255, low >> 8, low & 255].join('.')
}

/**
 * The eight 16-bit groups of an IPv6 address; undefined for all else. The URL parser does the
 * reading of every spelling.
 */
export function ipv6Groups(address: string): number[] | undefined {
  if (isIPv4(address) || isIP(address) === 0) return undefined
  const [head = '', tail] = new URL(`http://[${address}]/`).hostname.slice(1, -1).split('::')
  const read = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16))
  const first = read(head)
  const last = read(tail ?? '')
  return [...first, ...Array<number>(8 - first.length - last.length).fill(0), ...last]
}
