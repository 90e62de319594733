/**
 * A street of homes and an internet, made of network namespaces on one machine.
 *
 *     home1 ──┐ 198.51.100.11                                203.0.113.10
 *     home2 ──┤                street (bridge, router) ────── internet
 *     router3 ┘ 198.51.100.13  .1                       .1
 *        └── home3 192.168.77.10, behind NAT
 *
 * The bridge has a namespace of its own, where no firewall rule exists: on the machine's own bridge
 * a Docker engine's FORWARD DROP would swallow every frame. IPv4 and IPv6 everywhere. Addresses are
 * those reserved for documentation, because containers may not reach private ones.
 */
import {
  createNamespaces,
  type Namespace,
  type Namespaces,
  removeDeadNamespaces,
} from './namespaces.ts'
import type { RunFolder } from './run-folder.ts'

/** Rates in bits per second, as providers sell them; `queueMs` is how long the modem's queue is. */
export type LinkShape = Readonly<{ upBitsPerS?: number; downBitsPerS?: number; queueMs?: number }>

export type HomeInit = Readonly<{
  label: string
  /** A router with address translation between the home and the street. */
  nat?: boolean
  shape?: LinkShape
}>

export type Host = Readonly<{ namespace: Namespace; ipv4: string; ipv6: string }>

export type Home = Host &
  Readonly<{
    label: string
    /** The address that others see: the router's for a home behind NAT. */
    publicIpv4: string
    /** The home's router, where there is one; its LAN bridge is `lan`, 192.168.77.0/24. */
    router: Namespace | undefined
    /** Unplugs and replugs the home's line. */
    setConnected(connected: boolean): Promise<void>
  }>

export interface Street {
  readonly internet: Host
  /** The bridge's namespace: sees all frames, can reach every home and the internet. */
  readonly desk: Host
  readonly namespaces: Namespaces
  addHome(init: HomeInit, options?: { readonly signal?: AbortSignal }): Promise<Home>
  /** Another machine on the LAN of a home behind NAT: a NAS, a printer. */
  addNeighbour(home: Home, label: string): Promise<Host>
  dispose(): Promise<void>
}

const homesMax = 200 // .11 to .210 of a /24

// Absent where br_netfilter is not loaded. It is a setting of each namespace; on by default.
const noBridgeFilter = `
for f in /proc/sys/net/bridge/bridge-nf-call-*; do if [ -e "$f" ]; then echo 0 > "$f"; fi; done`
const forward = `
echo 1 > /proc/sys/net/ipv4/ip_forward
echo 1 > /proc/sys/net/ipv6/conf/all/forwarding`
// nodad: an IPv6 address is usable at once, not after a second or two.
const address = (device: string, ipv4: string, ipv6: string): string => `
ip address add ${ipv4} dev ${device}
ip address add ${ipv6} dev ${device} nodad
ip link set ${device} up`
const routeVia = (ipv4: string, ipv6: string): string => `
ip route add default via ${ipv4}
ip -6 route add default via ${ipv6}`
const bridge = (name: string): string => `${noBridgeFilter}
ip link add ${name} type bridge forward_delay 0 mcast_snooping 0`

export async function createStreet({
  run,
  signal,
}: {
  readonly run: RunFolder
  readonly signal?: AbortSignal
}): Promise<Street> {
  await removeDeadNamespaces()
  const namespaces = await createNamespaces({ run })
  const wait = signal ? { signal } : {}
  try {
    const desk = await namespaces.create('street', wait)
    const internet = await namespaces.create('internet', wait)
    await desk.script(
      `${bridge('br0')}${address('br0', '198.51.100.1/24', '2001:db8:5::1/64')}${forward}
      ip link add up0 type veth peer name eth0 netns ${internet.name}
      ${address('up0', '203.0.113.1/24', '2001:db8:113::1/64')}`,
      wait,
    )
    await internet.script(
      `${address('eth0', '203.0.113.10/24', '2001:db8:113::10/64')}
      ${routeVia('203.0.113.1', '2001:db8:113::1')}`,
      wait,
    )
    return streetOf(namespaces, desk, internet)
  } catch (error) {
    await namespaces.dispose()
    throw error
  }
}

function streetOf(namespaces: Namespaces, desk: Namespace, internet: Namespace): Street {
  let homes = 0
  return {
    internet: { namespace: internet, ipv4: '203.0.113.10', ipv6: '2001:db8:113::10' },
    desk: { namespace: desk, ipv4: '198.51.100.1', ipv6: '2001:db8:5::1' },
    namespaces,
    async addHome(init, options = {}) {
      homes += 1
      if (homes > homesMax) throw new RangeError(`a street has room for ${homesMax} homes`)
      return init.nat
        ? await addHomeBehindNat(namespaces, desk, init, homes, options)
        : await addOpenHome(namespaces, desk, init, homes, options)
    },
    async addNeighbour(home, label) {
      if (!home.router) throw new TypeError(`${home.label} has no LAN: make it with nat: true`)
      const prefix = home.ipv6.replace(/10$/, '')
      const number = namespaces.all().length // unique on every LAN; 10 is the home itself
      const host = { ipv4: `192.168.77.${20 + number}`, ipv6: `${prefix}20:${number}` }
      const namespace = await namespaces.create(`${home.label}-${label}`)
      await plugIntoLan(home.router, namespace, `lan${number}`, host, prefix)
      return { namespace, ...host }
    },
    dispose: () => namespaces.dispose(),
  }
}

async function addOpenHome(
  namespaces: Namespaces,
  desk: Namespace,
  { label, shape }: HomeInit,
  number: number,
  options: { readonly signal?: AbortSignal },
): Promise<Home> {
  const namespace = await namespaces.create(label, options)
  const host = await plugIntoStreet(desk, namespace, number, shape, options)
  return {
    label,
    namespace,
    ...host,
    publicIpv4: host.ipv4,
    router: undefined,
    setConnected: (connected) => setPort(desk, number, connected),
  }
}

async function addHomeBehindNat(
  namespaces: Namespaces,
  desk: Namespace,
  { label, shape }: HomeInit,
  number: number,
  options: { readonly signal?: AbortSignal },
): Promise<Home> {
  const router = await namespaces.create(`${label}-router`, options)
  const wan = await plugIntoStreet(desk, router, number, shape, options)
  const prefix = `2001:db8:5:${number.toString(16)}::`
  await router.script(
    `${bridge('lan')}${address('lan', '192.168.77.1/24', `${prefix}1/64`)}${forward}
    iptables -t nat -A POSTROUTING -o eth0 -j MASQUERADE
    iptables -A FORWARD -i eth0 -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
    iptables -A FORWARD -i eth0 -j DROP
    ip6tables -A FORWARD -i eth0 -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
    ip6tables -A FORWARD -i eth0 -j DROP`,
    options,
  )
  await desk.script(`ip -6 route add ${prefix}/64 via ${wan.ipv6}`, options)
  const namespace = await namespaces.create(label, options)
  const host = { ipv4: '192.168.77.10', ipv6: `${prefix}10` }
  await plugIntoLan(router, namespace, 'lan0', host, prefix)
  return {
    label,
    namespace,
    ...host,
    publicIpv4: wan.ipv4,
    router,
    setConnected: (connected) => setPort(desk, number, connected),
  }
}

/** Joins `namespace`'s new eth0 to the street's bridge, at the address of `number`. */
async function plugIntoStreet(
  desk: Namespace,
  namespace: Namespace,
  number: number,
  { upBitsPerS, downBitsPerS, queueMs = 50 }: LinkShape = {},
  options: { readonly signal?: AbortSignal },
): Promise<{ ipv4: string; ipv6: string }> {
  const ipv4 = `198.51.100.${10 + number}`
  const ipv6 = `2001:db8:5::${(0x10 + number).toString(16)}`
  const port = `port${number}`
  await desk.script(
    `ip link add ${port} type veth peer name eth0 netns ${namespace.name}
    ip link set ${port} master br0 up
    ${downBitsPerS ? shaper(port, downBitsPerS, queueMs) : ''}`,
    options,
  )
  await namespace.script(
    `${address('eth0', `${ipv4}/24`, `${ipv6}/64`)}${routeVia('198.51.100.1', '2001:db8:5::1')}
    ${upBitsPerS ? shaper('eth0', upBitsPerS, queueMs) : ''}`,
    options,
  )
  return { ipv4, ipv6 }
}

async function plugIntoLan(
  router: Namespace,
  namespace: Namespace,
  port: string,
  { ipv4, ipv6 }: { ipv4: string; ipv6: string },
  prefix: string,
): Promise<void> {
  await router.script(
    `ip link add ${port} type veth peer name eth0 netns ${namespace.name}
    ip link set ${port} master lan up`,
  )
  await namespace.script(
    `${address('eth0', `${ipv4}/24`, `${ipv6}/64`)}${routeVia('192.168.77.1', `${prefix}1`)}`,
  )
}

/** What leaves `device` is held to a rate; a bucket of 5 ms, and at least some full packets. */
function shaper(device: string, bitsPerS: number, queueMs: number): string {
  const burstBytes = Math.max(16_384, Math.round(bitsPerS / 8 / 200))
  const rate = `rate ${bitsPerS}bit burst ${burstBytes} latency ${queueMs}ms`
  return `tc qdisc add dev ${device} root tbf ${rate}`
}

async function setPort(desk: Namespace, number: number, connected: boolean): Promise<void> {
  await desk.script(`ip link set port${number} ${connected ? 'up' : 'down'}`)
}
