/**
 * Where a TCP connection comes from or goes to, as plain facts: family, IP address, port. The one
 * reading of multiaddrs for all that deals with NAT, so that the guards against being aimed at
 * strangers cannot disagree about what an address says.
 */
import { isIPv4, isIPv6 } from 'node:net'
import { isPrivateIp } from '@libp2p/utils'

export type Family = 4 | 6
export type Endpoint = Readonly<{ family: Family; ip: string; port: number }>

const plainTcp = /^\/ip([46])\/([0-9A-Fa-f.:]+)\/tcp\/(\d{1,5})(?:\/p2p\/[1-9A-HJ-NP-Za-km-z]+)?$/

/** The endpoint of a plain TCP multiaddr; undefined for names, relays and all other transports. */
export function endpointOf(address: string): Endpoint | undefined {
  const [, kind, ip = '', digits] = plainTcp.exec(address) ?? []
  const port = Number(digits)
  const valid = kind === '4' ? isIPv4(ip) : kind === '6' && isIPv6(ip)
  if (!valid || port < 1 || port > 65_535) return undefined
  return { family: kind === '4' ? 4 : 6, ip, port }
}

/** The multiaddr of an endpoint. */
export function formatEndpoint({ family, ip, port }: Endpoint): string {
  return `/ip${family}/${ip}/tcp/${port}`
}

/** Whether an address is of no use, or of harm, to somebody on the internet. */
export function isPrivateEndpoint({ ip }: Endpoint): boolean {
  return isPrivateIp(ip) !== false
}

/** What a rate by address counts: an IPv4 address, or the /64 that one line is given of IPv6. */
export function lineOf({ family, ip }: Endpoint): string {
  if (family === 4) return ip
  const [head = '', tail = ''] = ip.split('::')
  const first = head.split(':').filter(Boolean)
  const last = tail.split(':').filter(Boolean)
  const zeros = ip.includes('::') ? Array<string>(8 - first.length - last.length).fill('0') : []
  return [...first, ...zeros, ...last].slice(0, 4).join(':')
}
