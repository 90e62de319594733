/**
 * The street of the bench: the seed and the homes, each a namespace at the end of a link of its own,
 * and an internet without limits for coordinator, registry and tracker. The queue of a link (50 ms)
 * is the only delay there is.
 */
import { readFile } from 'node:fs/promises'
import type { Home, Host, Street } from '../../../scripts/street/index.ts'
import type { StreetLinks } from './links.ts'

export type SwarmStreet = Readonly<{
  street: Street
  internet: Host
  seed: Home
  homes: readonly Home[]
  /** What the kernel of every end uses. */
  congestionControl: string
}>

/** @param congestionControl the machine's own when left out */
export async function layOutStreet(
  links: StreetLinks,
  { street, congestionControl }: { readonly street: Street; readonly congestionControl?: string },
): Promise<SwarmStreet> {
  const seed = await street.addHome({
    label: 'seed',
    shape: { upBitsPerS: links.seedUpBitsPerS },
  })
  const homes: Home[] = []
  for (const [at, shape] of links.homes.entries()) {
    homes.push(await street.addHome({ label: `home${at + 1}`, shape }))
  }
  const { internet } = street
  const chosen = congestionControl ?? (await machinesControl())
  for (const { namespace } of [internet, seed, ...homes]) {
    await namespace.script(`echo ${chosen} > /proc/sys/net/ipv4/tcp_congestion_control`)
  }
  const used = await seed.namespace.script('cat /proc/sys/net/ipv4/tcp_congestion_control')
  return { street, internet, seed, homes, congestionControl: used.trim() }
}

async function machinesControl(): Promise<string> {
  return (await readFile('/proc/sys/net/ipv4/tcp_congestion_control', 'utf8')).trim()
}
