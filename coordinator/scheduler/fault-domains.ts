/**
 * What fails together: a home's line, a provider's neighbourhood, all that one chef owns. Two slots
 * in one of them are one slot when it goes, so the scheduler counts each domain as one place.
 */
import { classifyAddress } from '../../protocol/address/index.ts'
import type { PeerId } from '../../protocol/ids.ts'
import type { NodeView } from '../slots/index.ts'

/** The domains that a node stands in, as text that no two kinds share. */
export function domainsOf({ household, owner }: NodeView): readonly string[] {
  const domains = [`household ${household}`]
  const subnet = subnetOf(household)
  if (subnet !== undefined) domains.push(`subnet ${subnet}`)
  if (owner !== undefined) domains.push(`owner ${owner}`)
  return domains
}

/** A public IPv4 address's /24, an IPv6 household's /48; of a LAN's addresses there is none. */
function subnetOf(household: string): string | undefined {
  if (household.endsWith('::/64')) return `${household.split(':').slice(0, 3).join(':')}::/48`
  const parts = household.split('.')
  if (parts.length !== 4 || classifyAddress(household) !== 'public') return undefined
  return `${parts.slice(0, 3).join('.')}.0/24`
}

/** How many slots of a group stand in each domain. */
export class Spread {
  readonly #counts = new Map<string, number>()

  add(domains: readonly string[]): void {
    for (const domain of domains) this.#counts.set(domain, (this.#counts.get(domain) ?? 0) + 1)
  }

  /** How many are there already, in the fullest of these domains. */
  neighbours(domains: readonly string[]): number {
    let most = 0
    for (const domain of domains) most = Math.max(most, this.#counts.get(domain) ?? 0)
    return most
  }
}

/** The spread of slots that stand on these nodes. */
export function spreadOf(
  placed: Iterable<PeerId>,
  domainsAt: (node: PeerId) => readonly string[] | undefined,
): Spread {
  const spread = new Spread()
  for (const node of placed) spread.add(domainsAt(node) ?? [`household ${node}`])
  return spread
}
