/**
 * Potluck's rules as data. A container may reach the internet and nothing of the home, from the
 * first container on, so what is not allowed is dropped where a packet enters: in table `mangle`,
 * before Docker's and a VPN's tables rewrite addresses, and once more after they did.
 *
 * `mangle` rather than `raw`: raw comes before connection tracking, so it could not tell a
 * container's answer to the node (a readiness probe) from a container that calls the node.
 *
 * Every chain is our own and bears the node's tag; of a chain that is not ours only one jump each is
 * touched. Source for the ranges: IANA's special-purpose address registry (RFC 6890).
 */

export type Family = 4 | 6
/** Chains of the kernel's that we hang a jump into. */
export type BuiltinChain = 'PREROUTING' | 'INPUT' | 'FORWARD' | 'POSTROUTING'

export type Jump = Readonly<{
  from: BuiltinChain
  /** Match of the jump, in the form in which iptables prints it; may be empty. */
  match: string
  to: string
  /** First: before anyone else decides. Last: what nobody else wanted. */
  place: 'first' | 'last'
}>

export type Table = Readonly<{
  family: Family
  name: 'mangle' | 'filter' | 'nat'
  chains: Readonly<Record<string, readonly string[]>>
  jumps: readonly Jump[]
}>

export type RulesetInit = Readonly<{
  /** Distinguishes nodes of one machine; hex. */
  tag: string
  /** Prefixes on link of the machine's other interfaces. */
  onLink: readonly string[]
  /** Set when the engine makes no rules itself: containers' addresses, to be masqueraded. */
  masqueradePool?: string
  /** We switched forwarding on: what was not forwarded before must not be now. */
  closeForwarding: boolean
  /** Bridged frames pass iptables here, and are none of our business. */
  bridgeNetfilter: boolean
  ipv6: boolean
}>

/** Every container's bridge: Docker names them so (node/engine, bridgeName). */
const bridges = 'plk+'

/** "This network", private, shared, loopback, link-local, protocol, benchmark, multicast, reserved. */
export const closedRanges: readonly string[] = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '224.0.0.0/4',
  '240.0.0.0/4',
]

/** Mail from a chef's address costs the chef its reputation. */
const mailPorts = '25,465,587'

/** The tables that must stand, whole. */
export function buildRuleset(init: RulesetInit): readonly Table[] {
  return [
    mangle4(init),
    filter4(init),
    ...(init.masqueradePool === undefined ? [] : [nat4(init.tag, init.masqueradePool)]),
    ...(init.ipv6 ? [mangle6(init.tag)] : []),
  ]
}

function mangle4({ tag, onLink }: RulesetInit): Table {
  const egress = `POTLUCK-EGRESS-${tag}`
  const input = `POTLUCK-INPUT-${tag}`
  /** An answer to a connection that the node itself opened to the container. */
  const answers = '-m conntrack --ctstate ESTABLISHED --ctdir REPLY -j RETURN'
  const types = ['LOCAL', 'BROADCAST', 'MULTICAST']
  return {
    family: 4,
    name: 'mangle',
    chains: {
      [egress]: [
        answers,
        ...types.map((type) => `-m addrtype --dst-type ${type} -j DROP`),
        ...[...closedRanges, ...onLink].map((range) => `-d ${range} -j DROP`),
        `-p tcp -m multiport --dports ${mailPorts} -j DROP`,
      ],
      [input]: [answers, '-j DROP'],
    },
    jumps: [
      { from: 'PREROUTING', match: `-i ${bridges}`, to: egress, place: 'first' },
      { from: 'FORWARD', match: `-i ${bridges}`, to: egress, place: 'first' },
      { from: 'INPUT', match: `-i ${bridges}`, to: input, place: 'first' },
    ],
  }
}

function filter4(init: RulesetInit): Table {
  const forward = `POTLUCK-FORWARD-${init.tag}`
  const closed = `POTLUCK-CLOSED-${init.tag}`
  // Beside an engine that makes rules itself ours only take away; alone they also let through.
  const allow = init.masqueradePool === undefined ? 'RETURN' : 'ACCEPT'
  const bridged = init.bridgeNetfilter ? ['-m physdev --physdev-is-bridged -j RETURN'] : []
  return {
    family: 4,
    name: 'filter',
    chains: {
      [forward]: [
        `-i ${bridges} -o ${bridges} -j DROP`,
        `-o ${bridges} -m conntrack --ctstate RELATED,ESTABLISHED -j ${allow}`,
        `-o ${bridges} -j DROP`,
        `-i ${bridges} -j ${allow}`,
      ],
      ...(init.closeForwarding ? { [closed]: [...bridged, '-j DROP'] } : {}),
    },
    jumps: [
      { from: 'FORWARD', match: '', to: forward, place: 'first' },
      ...(init.closeForwarding
        ? [{ from: 'FORWARD', match: '', to: closed, place: 'last' } as const]
        : []),
    ],
  }
}

function nat4(tag: string, pool: string): Table {
  const chain = `POTLUCK-NAT-${tag}`
  return {
    family: 4,
    name: 'nat',
    chains: { [chain]: [`-s ${pool} ! -o ${bridges} -j MASQUERADE`] },
    jumps: [{ from: 'POSTROUTING', match: '', to: chain, place: 'last' }],
  }
}

/** Containers have no IPv6, and what has none needs no exceptions. */
function mangle6(tag: string): Table {
  const chain = `POTLUCK-EGRESS-${tag}`
  return {
    family: 6,
    name: 'mangle',
    chains: { [chain]: ['-j DROP'] },
    jumps: [
      { from: 'PREROUTING', match: `-i ${bridges}`, to: chain, place: 'first' },
      { from: 'FORWARD', match: `-o ${bridges}`, to: chain, place: 'first' },
    ],
  }
}
