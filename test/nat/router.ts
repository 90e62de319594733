/**
 * What a router at home can be beside the street's plain one: one that drops what it does not
 * expect, one with a NAT that nobody can predict, one that forwards ports by UPnP.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  type Child,
  type Home,
  type Processes,
  pattern,
  type RunFolder,
  type Street,
} from '../../scripts/street/index.ts'

function routerOf(home: Home) {
  if (!home.router) throw new TypeError(`${home.label} has no router: make it with nat: true`)
  return home.router
}

/** Says nothing to strangers, as most routers do; the street's own answers them with a reset. */
export async function makeSilent(home: Home): Promise<void> {
  const drop = '-i eth0 -m conntrack ! --ctstate ESTABLISHED,RELATED -j DROP'
  await routerOf(home).script(`iptables -A INPUT ${drop}
    ip6tables -A INPUT -i eth0 -p tcp -m conntrack ! --ctstate ESTABLISHED,RELATED -j DROP`)
}

/** Another port for each connection: what it shows to one says nothing of what it shows to another. */
export async function makeSymmetric(home: Home): Promise<void> {
  await routerOf(home).script(`iptables -t nat -F POSTROUTING
    iptables -t nat -A POSTROUTING -o eth0 -p tcp -j MASQUERADE --random-fully
    iptables -t nat -A POSTROUTING -o eth0 -j MASQUERADE`)
}

/** Firewall marks what UPnP let in; the table that miniupnpd fills, and the street's rules beside. */
const upnpRules = `
iptables -I FORWARD -i eth0 -m conntrack --ctstate DNAT -j ACCEPT
nft -f - <<'END'
table inet upnp {
  chain forward { type filter hook forward priority 0; policy accept; jump miniupnpd; }
  chain miniupnpd { }
  chain prerouting { type nat hook prerouting priority -100; policy accept; jump prerouting_upnp; }
  chain prerouting_upnp { }
  chain postrouting { type nat hook postrouting priority 100; policy accept; jump postrouting_upnp; }
  chain postrouting_upnp { }
}
END`

export type UpnpRouter = Readonly<{
  publicIpv4: string
  daemon: Child
  /** Ports that it forwards now, as its firewall has them. */
  forwarded(): Promise<string>
}>

/**
 * Starts Debian's miniupnpd on the home's router. The router gets an address that libp2p and
 * miniupnpd take for public, which they do of none that is reserved for documentation; it leads
 * nowhere but into this street.
 */
export async function startUpnp(
  home: Home,
  { street, processes, run }: { street: Street; processes: Processes; run: RunFolder },
): Promise<UpnpRouter> {
  const router = routerOf(home)
  const publicIpv4 = `100.128.0.${home.publicIpv4.split('.').at(-1)}`
  await router.script(`ip address add ${publicIpv4}/32 dev eth0
    iptables -t nat -I POSTROUTING -o eth0 -j SNAT --to-source ${publicIpv4}${upnpRules}`)
  await street.desk.namespace.script(`ip route add ${publicIpv4}/32 via ${home.publicIpv4}`)
  const config = join(run.path, `${home.label}-miniupnpd.conf`)
  await writeFile(
    config,
    [
      'ext_ifname=eth0',
      `ext_ip=${publicIpv4}`,
      'listening_ip=lan',
      'enable_upnp=yes',
      'enable_natpmp=no',
      'secure_mode=yes',
      'force_igd_desc_v1=no',
      'notify_interval=60',
      'uuid=f1a52881-a593-44e8-9475-2124275373dd',
      'upnp_table_name=upnp',
      'upnp_nat_table_name=upnp',
      'upnp_forward_chain=miniupnpd',
      'upnp_nat_chain=prerouting_upnp',
      'upnp_nat_postrouting_chain=postrouting_upnp',
      'allow 1024-65535 0.0.0.0/0 1024-65535',
      'deny 0-65535 0.0.0.0/0 0-65535',
      '',
    ].join('\n'),
  )
  const daemon = processes.start({
    name: `${home.label}-miniupnpd`,
    namespace: router.path,
    command: ['miniupnpd', '-d', '-f', config, '-P', join(run.path, `${home.label}-miniupnpd.pid`)],
  })
  await daemon.waitFor(pattern(/HTTP listening|version .* starting/))
  return {
    publicIpv4,
    daemon,
    forwarded: async () => await router.script('nft list chain inet upnp prerouting_upnp'),
  }
}
