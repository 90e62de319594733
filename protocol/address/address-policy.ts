/**
 * Which addresses may be connected to on a tenant's word: public ones, and those that the operator
 * lists. Pure; the dispatcher beside it brings the resolver and the sockets.
 */
import { BlockList, isIP, isIPv4 } from 'node:net'
import { classifyAddress, embeddedIpv4, withoutZone } from './address-class.ts'
import { AddressRangeError, AddressRefusedError } from './errors.ts'

export type AddressPolicyInit = Readonly<{
  /** CIDR ranges, or single addresses, that are connected to though they are not public. */
  allow?: readonly string[]
  /** The operator's name for `allow`, for messages. */
  setting?: string
}>

export interface AddressPolicy {
  /**
   * Returns if `address`, which `host` resolved to, may be connected to.
   * @throws {AddressRefusedError} it may not.
   */
  check(host: string, address: string): void
}

/** A set of address ranges, each family asked about its own rules only. */
export interface AddressRanges {
  /** Whether `address` (text form, a zone is ignored) lies in one of the ranges. */
  has(address: string): boolean
}

/**
 * Reads CIDR ranges (`10.0.0.0/8`, `fd00::/8`) and single addresses.
 * @throws {AddressRangeError} for text that is neither, named with `setting`.
 */
export function parseAddressRanges(ranges: readonly string[], setting: string): AddressRanges {
  const ipv4 = new BlockList()
  const ipv6 = new BlockList()
  for (const range of ranges) {
    const [prefix = '', bits, ...rest] = range.split('/')
    const family = isIP(prefix)
    const bitsMax = family === 4 ? 32 : 128
    const valid = bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= bitsMax)
    if (family === 0 || !valid || rest.length > 0 || prefix.includes('%')) {
      throw new AddressRangeError(range, setting)
    }
    const list = family === 4 ? ipv4 : ipv6
    list.addSubnet(prefix, Number(bits ?? bitsMax), family === 4 ? 'ipv4' : 'ipv6')
  }
  return {
    has(address) {
      const bare = withoutZone(address)
      return isIPv4(bare) ? ipv4.check(bare, 'ipv4') : ipv6.check(bare, 'ipv6')
    },
  }
}

/**
 * An address with an IPv4 address inside (mapped, NAT64, 6to4, Teredo) needs both: its own range
 * allowed, and the inner address public or allowed. So `64:ff9b::/96`, which an operator behind
 * NAT64 allows, still does not reach 10.0.0.1.
 *
 * @throws {AddressRangeError} for an `allow` that is no CIDR.
 */
export function createAddressPolicy({
  allow = [],
  setting = 'the allowed addresses',
}: AddressPolicyInit = {}): AddressPolicy {
  const allowed = parseAddressRanges(allow, setting)
  return {
    check(host, address) {
      const addressClass = classifyAddress(address)
      if (addressClass === 'public') return
      const inner = embeddedIpv4(address)
      const innerFits =
        inner === undefined || classifyAddress(inner) === 'public' || allowed.has(inner)
      if (allowed.has(address) && innerFits) return
      throw new AddressRefusedError(host, withoutZone(address), addressClass, setting)
    },
  }
}
