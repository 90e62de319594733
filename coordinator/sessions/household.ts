/**
 * Which household a peer belongs to, from the address that we see it at: what shares one line
 * fails together. A public IPv4 address or an IPv6 /64; within the network file's
 * `householdPerAddress` prefixes (a company's LAN, a test bed) each address is one.
 */
import { ipv6Groups, parseAddressRanges } from '../../protocol/address/index.ts'
import { observedIp } from './observed-ip.ts'

export type HouseholdOf = (observedAddr: string) => string

/** @throws {AddressRangeError} a prefix that is no CIDR. */
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
