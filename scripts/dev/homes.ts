/**
 * The network of a development network with real engines: each node in a network namespace of its
 * own, so that engines' bridges and firewalls do not meet, joined with the host by a switch.
 *
 *     node-1 198.19.n.11 ──┐
 *     node-2 198.19.n.12 ──┤ switch (a namespace without firewall) ── host 198.19.n.1, pldev<n>
 *     node-3 198.19.n.13 ──┘
 *
 * 198.18.0.0/15 is for benchmarks and routed nowhere (RFC 2544), so it meets nobody's LAN; nodes
 * close it for containers, so that a container reaches neither the host nor other nodes by it.
 */
import { networkInterfaces } from 'node:os'
import { PotluckError } from '../../protocol/errors.ts'
import { createNamespaces, type Namespace } from '../street/namespaces.ts'
import { runCommand } from '../street/run-command.ts'
import type { Run } from './run.ts'

/** Each address in it is a household of its own. */
export const homesPrefix = '198.19.0.0/16'

export type Home = Readonly<{ ipv4: string; namespace: Namespace }>

export interface Homes {
  readonly hostIpv4: string
  /** The host's interface to the homes. */
  readonly device: string
  readonly prefix: string
  add(label: string): Promise<Home>
}

const homesMax = 200

// Bridged frames would pass the namespace's firewall where br_netfilter is loaded.
const switchScript = `
for f in /proc/sys/net/bridge/bridge-nf-call-*; do if [ -e "$f" ]; then echo 0 > "$f"; fi; done
ip link add br0 type bridge forward_delay 0 mcast_snooping 0
ip link set br0 up`

/** As root. All of it, the host's interface too, goes when sweep.ts deletes the namespaces. */
export async function createHomes({ run }: { readonly run: Run }): Promise<Homes> {
  const namespaces = await createNamespaces({ run })
  try {
    const desk = await namespaces.create('switch')
    await desk.script(switchScript)
    const subnet = await plugHost(desk)
    let homes = 0
    return {
      hostIpv4: `198.19.${subnet}.1`,
      device: deviceName(subnet),
      prefix: `198.19.${subnet}.0/24`,
      async add(label) {
        homes += 1
        if (homes > homesMax) throw new RangeError(`there is room for ${homesMax} homes`)
        const ipv4 = `198.19.${subnet}.${10 + homes}`
        const port = `port${homes}`
        const namespace = await namespaces.create(label)
        await desk.script(
          `ip link add ${port} type veth peer name eth0 netns ${namespace.name}
          ip link set ${port} master br0 up`,
        )
        await namespace.script(
          `ip address add ${ipv4}/24 dev eth0
          ip link set eth0 up
          ip route add default via 198.19.${subnet}.1`,
        )
        return { ipv4, namespace }
      },
    }
  } catch (error) {
    await namespaces.dispose()
    throw error
  }
}

function deviceName(subnet: number): string {
  return `pldev${subnet}`
}

/** Joins the host to the switch by a subnet that no interface of the host has. */
async function plugHost(desk: Namespace): Promise<number> {
  const taken = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .map(({ address }) => /^198\.19\.(\d+)\./.exec(address)?.[1])
  for (let subnet = 0; subnet < 256; subnet++) {
    if (taken.includes(String(subnet))) continue
    const device = deviceName(subnet)
    try {
      // Fails if another run was quicker: a name is there once.
      await runCommand([
        'ip',
        'link',
        'add',
        device,
        'type',
        'veth',
        'peer',
        'name',
        'host',
        'netns',
        desk.name,
      ])
    } catch (error) {
      if (networkInterfaces()[device] || /File exists/.test(String(error))) continue
      throw error
    }
    await runCommand(['ip', 'address', 'add', `198.19.${subnet}.1/24`, 'dev', device])
    await runCommand(['ip', 'link', 'set', device, 'up'])
    await desk.script('ip link set host master br0 up')
    return subnet
  }
  throw new PotluckError('DEV_NO_SUBNET', `no /24 of ${homesPrefix} is free on this machine`)
}
