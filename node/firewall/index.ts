/** The rules between containers and the home. */
export {
  createFirewall,
  type Firewall,
  type FirewallComponents,
  type FirewallInit,
  firewallTag,
} from './firewall.ts'
export { createForwarding, type Forwarding } from './forwarding.ts'
export { createIptables, type Iptables } from './iptables.ts'
