/**
 * Potluck's own processes on the street, as operators and chefs run them: coordinator and registry
 * on the internet, the cache at the seed's link, a node at each home's. Control goes over the same
 * link as chunks do. Only the engine is simulated: it reads the node's endpoint as Docker would.
 */
import type { Agent } from 'undici'
import { createTenant, type Tenant } from '../../../scripts/demo/tenant.ts'
import { compileCache } from '../../../scripts/dev/compile-cache.ts'
import { readCoordinator } from '../../../scripts/network/index.ts'
import {
  type Child,
  connected,
  type Home,
  type Host,
  type Processes,
  potluckCommand,
  type Registry,
  type RunFolder,
  ready,
  startRegistry,
  writeStreetSettings,
} from '../../../scripts/street/index.ts'
import type { SwarmStreet } from './homes.ts'
import type { StreetLinks } from './links.ts'

export interface SwarmNetwork {
  readonly registry: Registry
  readonly tenant: Tenant
  readonly cache: Member
  readonly nodes: readonly Member[]
  stop(): Promise<void>
}

/** A process that may be killed and started again. */
export interface Member {
  readonly home: Home
  /** The newest start. */
  readonly child: Child
  kill(): Promise<void>
  /** Resolves when it is connected. */
  start(): Promise<void>
}

export type NetworkComponents = Readonly<{
  swarmStreet: SwarmStreet
  links: StreetLinks
  run: RunFolder
  processes: Processes
  /** Into the internet. */
  agent: Agent
  signal: AbortSignal
  /** Nodes are not told their line's rate as a limit: what they know of it they have measured. */
  unlimited?: boolean
}>

const registryPort = 5000
export const metricsPort = 9464
/** Eighteen processes that start at once on two cores take their time. */
const startMs = 120_000
const stopMs = 10_000
/** Sixteen homes take turns at the cache, two seconds each. */
const measuredMs = 60_000

/** Starts all of it; resolves when every process is connected. */
export async function startNetwork(components: NetworkComponents): Promise<SwarmNetwork> {
  const { swarmStreet, links, run, processes, agent, signal } = components
  const { internet, seed, homes } = swarmStreet
  const wait = { signal, deadlineMs: startMs }
  const at = { namespace: internet.namespace.path, host: internet.ipv4 }
  const registry = await startRegistry({ ...at, port: registryPort }, { processes, run, wait })
  const settings = await writeStreetSettings({
    ...{ run, host: internet.ipv4, registry: registry.address, cacheHost: seed.ipv4 },
    cacheSettings: { bandwidth: { upload: bitRate(links.seedUpBitsPerS) } },
  })
  const launch = (noun: string, name: string, config: string, host: Host): Child =>
    processes.start({
      name,
      namespace: host.namespace.path,
      command: potluckCommand(noun, config),
      env: { NODE_COMPILE_CACHE: compileCache },
    })
  const member = (noun: string, home: Home, config: string): Member => {
    let starts = 0
    const begin = (): Child => {
      starts += 1
      return launch(noun, starts === 1 ? home.label : `${home.label}-${starts}`, config, home)
    }
    let child = begin()
    return {
      home,
      get child() {
        return child
      },
      async kill() {
        child.kill('SIGKILL')
        await child.exited
      },
      async start() {
        child = begin()
        await connected(child, wait)
      },
    }
  }
  const coordinator = launch('coordinator', 'coordinator', settings.coordinator, internet)
  const tenant = createTenant(await readCoordinator(await ready(coordinator, wait)), {
    ...{ agent, signal },
  })
  const cache = member('cache', seed, settings.cache)
  const nodes: Member[] = []
  for (const [number, home] of homes.entries()) {
    const upload = bitRate(links.homes[number]?.upBitsPerS ?? 0)
    const own = {
      ...{
        engine: { kind: 'simulated' },
        ...(components.unlimited ? {} : { bandwidth: { upload } }),
      },
      metrics: { host: home.ipv4, port: metricsPort },
    }
    nodes.push(member('node', home, await settings.node(home.label, home.ipv4, own)))
  }
  await Promise.all([cache, ...nodes].map(({ child }) => connected(child, wait)))
  await Promise.all(nodes.map(({ child }) => idle(child, signal)))
  return {
    ...{ registry, tenant, cache, nodes },
    async stop() {
      await Promise.all(nodes.map(({ child }) => child.stop({ graceMs: stopMs })))
      await Promise.all([cache.child, coordinator].map((it) => it.stop({ graceMs: stopMs })))
      await registry.stop()
    },
  }
}

function bitRate(bitsPerS: number): string {
  return `${Math.round(bitsPerS)}bit`
}

/** It has measured its line, which every node does soon after joining, or waits long to do so. */
async function idle(child: Child, signal: AbortSignal): Promise<void> {
  const wait = { signal, deadlineMs: measuredMs }
  await child
    .waitFor(({ text }) => text.includes('"the line was measured"') || undefined, wait)
    .catch(() => signal.throwIfAborted())
}
