/**
 * Which household a peer belongs to, from the address that it is seen at: what shares one line
 * fails together. A public IPv4 address or an IPv6 /64; within the network file's
 * `householdPerAddress` prefixes (a company's LAN, a test bed) each address is one.
 */
import { multiaddr } from '@multiformats/multiaddr'
import { classifyAddress, parseAddressRanges } from '../address/index.ts'

export type HouseholdOf = (observedAddr: string) => string

/** The household of an address. @throws {AddressRangeError} a prefix that is no CIDR. */
export function createHouseholds(householdPerAddress: readonly string[]): HouseholdOf {
  const perAddress = parseAddressRanges(householdPerAddress, 'householdPerAddress')
  return (observedAddr) => {
    const ip = ipOf(observedAddr)
    if (ip === undefined) return `unknown ${observedAddr}`
    if (!ip.includes(':') || perAddress.has(ip)) return ip
    return `${expand(ip).slice(0, 4).join(':')}::/64`
  }
}

/**
 * The public network that an address leads to, for who wonders whether its own line is up: the
 * household, or undefined for what may be on the same side of the line (private addresses outside
 * of the prefixes, relays).
 * @throws {AddressRangeError} a prefix that is no CIDR.
 */
export function createNetworkOf(
  householdPerAddress: readonly string[],
): (addr: string) => string | undefined {
  const householdOf = createHouseholds(householdPerAddress)
  const perAddress = parseAddressRanges(householdPerAddress, 'householdPerAddress')
  return (addr) => {
    const ip = ipOf(addr)
    if (ip === undefined) return undefined
    const isApart = perAddress.has(ip) || classifyAddress(ip) === 'public'
    return isApart ? householdOf(addr) : undefined
  }
}

function ipOf(observedAddr: string): string | undefined {
  try {
    // A relayed peer's address names the relay's: not where it lives.
    const parts = multiaddr(observedAddr).getComponents()
    if (parts.some(({ name }) => name === 'p2p-circuit')) return undefined
    const value = parts.find(({ name }) => name === 'ip4' || name === 'ip6')?.value
    return value?.startsWith('::ffff:') && value.includes('.') ? value.slice(7) : value
  } catch {
    return undefined
  }
}

/** The eight groups of an IPv6 address. */
function expand(ip: string): readonly string[] {
  const [head = '', tail] = (ip.split('%')[0] ?? '').split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const gap = tail === undefined ? 0 : 8 - left.length - right.length
  return [...left, ...Array<string>(Math.max(0, gap)).fill('0'), ...right]
}
