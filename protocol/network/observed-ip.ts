/** The IP address at which we see a peer: household and country both follow from it. */
import { multiaddr } from '@multiformats/multiaddr'
import { classifyAddress, embeddedIpv4 } from '../address/index.ts'

/** Undefined where the address is not the peer's own. IPv4 in IPv6 comes out as IPv4. */
export function observedIp(observedAddr: string): string | undefined {
  try {
    // A relayed peer's address names the relay's: not where it lives.
    const parts = multiaddr(observedAddr).getComponents()
    if (parts.some(({ name }) => name === 'p2p-circuit')) return undefined
    const value = parts.find(({ name }) => name === 'ip4' || name === 'ip6')?.value
    // A socket that listens on both families shows IPv4 peers so.
    const isMapped = value !== undefined && classifyAddress(value) === 'IPv4-mapped'
    return isMapped ? embeddedIpv4(value) : value
  } catch {
    return undefined
  }
}
