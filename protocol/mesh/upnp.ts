/**
 * Asks the home's router to forward the listening port (UPnP IGD 2). What it forwards counts only
 * once somebody has dialled it (protocol/nat).
 */
import { type UPnPNAT, uPnPNAT } from '@libp2p/upnp-nat'

const intervalMs = 600_000

/**
 * The service, for `createLibp2p`. The defaults would search every 5 s where no router answers, and
 * ask one that does for its address every 30 s. (`gatewaySearchTimeout` is also taken as the
 * interval of later searches.)
 */
export function upnp() {
  const make = uPnPNAT({
    portMappingDescription: 'potluck',
    externalAddressCheckInterval: intervalMs,
    initialGatewaySearchInterval: intervalMs,
    gatewaySearchInterval: intervalMs,
    gatewaySearchTimeout: intervalMs,
    gatewaySearchMessageInterval: intervalMs,
  })
  return (components: Parameters<typeof make>[0]): UPnPNAT => withoutIpv6(make(components))
}

/**
 * upnp-nat 4.0.28 takes the router's IPv4 address for where an IPv6 address that is not global is
 * forwarded from; the address of mixed families that libp2p makes of it throws in a timer, and the
 * process dies. Nothing is lost: an IPv6 firewall is punched.
 */
function withoutIpv6(service: UPnPNAT): UPnPNAT {
  const client = service.portMappingClient
  const find = client.findGateways.bind(client)
  client.findGateways = async function* findIpv4(options) {
    for await (const gateway of find(options)) if (gateway.family === 'IPv4') yield gateway
  }
  return service
}
