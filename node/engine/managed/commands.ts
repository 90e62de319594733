/**
 * What the engine's two programs are started with. Each flag is there for a reason that a default
 * would break: the chef's own Docker, its rules and its configuration stay untouched, and Env stays
 * off the disk.
 */
import type { ManagedPaths } from './paths.ts'

export type PoolInit = Readonly<{
  /** Containers' addresses; 198.18.0.0/15 is for benchmarks and routed nowhere (RFC 2544). */
  base: string
  /** Prefix length of one instance's network. */
  size: number
}>

export function dockerdArgs(paths: ManagedPaths, pool: PoolInit): readonly string[] {
  return [
    // A file of our own, so that the chef's /etc/docker/daemon.json is not read.
    ...['--config-file', paths.daemonConfig],
    // A system containerd would keep Env in its own database.
    ...['--containerd', paths.containerdSocket],
    ...['--data-root', paths.dataRoot],
    ...['--exec-root', paths.execRoot],
    ...['--pidfile', paths.pidFile],
    ...['--host', `unix://${paths.socket}`],
    // The node makes all rules (node/firewall); Docker's would meet those of the chef's Docker.
    '--iptables=false',
    '--ip6tables=false',
    '--ip-masq=false',
    '--ip-forward=false',
    '--bridge=none',
    '--userland-proxy=false',
    ...['--default-address-pool', `base=${pool.base},size=${pool.size}`],
    ...['--cgroup-parent', paths.cgroup],
    // One way to name cgroups everywhere, so that the node can find and end what is in them.
    ...['--exec-opt', 'native.cgroupdriver=cgroupfs'],
    // Containers outlive a dockerd that dies; the next one takes them over.
    '--live-restore',
    // Never -D: it logs Env.
    ...['--log-level', 'warn'],
  ]
}

export const daemonConfig = `${JSON.stringify({ features: { 'containerd-snapshotter': false } })}\n`

export function containerdConfig(paths: ManagedPaths): string {
  return [
    'version = 2',
    `root = ${JSON.stringify(paths.containerdRoot)}`,
    `state = ${JSON.stringify(paths.containerdState)}`,
    // Kubernetes' half: unused, and slow to start.
    'disabled_plugins = ["io.containerd.grpc.v1.cri"]',
    '[grpc]',
    `  address = ${JSON.stringify(paths.containerdSocket)}`,
    '[debug]',
    '  level = "warn"',
    '',
  ].join('\n')
}
