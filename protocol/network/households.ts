/**
 * Which household a peer belongs to, from the address that it is seen at: what shares one line
 * fails together. A public IPv4 address or an IPv6 /64; within the network file's
 * `householdPerAddress` prefixes (a company's LAN, a test bed) each address is one.
 */
import { classifyAddress, ipv6Groups, parseAddressRanges } from '../address/index.ts'
import { observedIp } from './observed-ip.ts'

export type HouseholdOf = (observedAddr: string) => string

/** The household of an address. @throws {AddressRangeError} a prefix that is no CIDR. */
export function createHouseholds(householdPerAddress: readonly string[]): HouseholdOf {
  const perAddress = parseAddressRanges(householdPerAddress, 'householdPerAddress')
  return (observedAddr) => {
    const ip = observedIp(observedAddr)
    if (ip === undefined) return `unknown ${observedAddr}`
    if (perAddress.has(ip)) return ip
    const groups = ipv6Groups(ip.split('%', 1)[0] ?? '')
    if (!groups) return ip
    const network = groups.slice(0, 4).map((group) => group.toString(16))
    return `${network.join(':')}::/64`
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
    const ip = observedIp(addr)
    if (ip === undefined) return undefined
    const isApart = perAddress.has(ip) || classifyAddress(ip) === 'public'
    return isApart ? householdOf(addr) : undefined
  }
}
