/**
 * The networks that a home's machine is directly on. Private ranges are closed anyway, but a LAN
 * may have public addresses, and its printers answer as gladly.
 */
import { isIPv4 } from 'node:net'
import type { NetworkInterfaceInfo } from 'node:os'

/** As `os.networkInterfaces()` gives them. */
export type Interfaces = Readonly<Record<string, readonly NetworkInterfaceInfo[] | undefined>>

/** Containers' bridges: their addresses are closed by the pool's own rule. */
const ownBridge = /^plk[0-9a-f]{10}$/

/**
 * IPv4 prefixes on link, sorted, each once; less those of loopback and of our bridges. Half of the
 * internet or more is no neighbourhood but a tunnel's trick, and closing it would close all.
 */
export function onLinkPrefixes(interfaces: Interfaces): readonly string[] {
  const prefixes = Object.entries(interfaces)
    .filter(([name]) => !ownBridge.test(name))
    .flatMap(([, addresses]) => addresses ?? [])
    .filter((it) => it.family === 'IPv4' && !it.internal && it.cidr !== null)
    .map((it) => networkOf(it.cidr ?? ''))
    .filter((prefix) => prefix !== undefined && Number(prefix.split('/')[1]) >= 4)
  return [...new Set(prefixes as string[])].sort()
}

/** `192.0.2.7/24` → `192.0.2.0/24`; undefined for what is no IPv4 prefix. */
export function networkOf(cidr: string): string | undefined {
  const [address = '', length = ''] = cidr.split('/')
  const bits = Number(length)
  if (!isIPv4(address) || !/^\d{1,2}$/.test(length) || bits > 32) return undefined
  const number = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
  const network = Math.floor(number / 2 ** (32 - bits)) * 2 ** (32 - bits)
  const parts = [24, 16, 8, 0].map((shift) => Math.floor(network / 2 ** shift) % 256)
  return `${parts.join('.')}/${bits}`
}
