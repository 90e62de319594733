/**
 * The registry cache as a process: pulls an image once from its registry, seals it into chunks and
 * serves them to those who hold a ticket. Everything is wired here and nowhere else. Start-up is
 * recovery: what the disk holds is what is served, and what was asked before is asked again.
 */
import { once } from 'node:events'
import { join } from 'node:path'
import { openBundleStore } from '../protocol/chunk-store/index.ts'
import { systemClock } from '../protocol/clock.ts'
import { identityFromSeed, loadOrCreateSeed } from '../protocol/identity/index.ts'
import type { Logger } from '../protocol/log/index.ts'
import { createAdvertFeed, type Region } from '../protocol/mesh/index.ts'
import { startMetricsServer } from '../protocol/metrics/index.ts'
import { type Network, readNetworkFile } from '../protocol/network/index.ts'
import {
  createMisbehaviourLog,
  defaultRunDir,
  openPeer,
  type Peer,
  prepareRunDir,
  removeRunDir,
  softwareVersion,
} from '../protocol/peer/index.ts'
import { createLevelStore, type Store } from '../protocol/store/index.ts'
import {
  createSwarm,
  type SeedShare,
  swarmLimitsOf,
  transferClock,
} from '../protocol/swarm/index.ts'
import type { CacheConfig } from './config.ts'
import { createIngester, createYoungCollector } from './ingest/index.ts'
import { createLinkDesk } from './link-tests.ts'
import { defineCacheMetrics, meterSource } from './metrics/index.ts'
import { createRegistryClient, createSimulatedSource, type ImageSource } from './oci/index.ts'
import { startTalk } from './talk.ts'

export { type CacheConfig, configSchema } from './config.ts'

export type CacheContext = Readonly<{
  /** Aborted: stop cleanly. */
  signal: AbortSignal
  logger: Logger
  onReady: (info: Readonly<Record<string, unknown>>) => void
}>

/** Keys for so many pulls at once; more come with the next beat. */
const keysOffered = 64

/** Runs a cache until `signal`. @throws what kept it from starting. */
export async function run(config: CacheConfig, context: CacheContext): Promise<void> {
  const { signal, logger, onReady } = context
  const owned = new AsyncDisposableStack()
  try {
    const network = await readNetworkFile(config.network)
    const store = await createLevelStore({ path: join(config.dataDir, 'state') })
    owned.defer(() => store.close())
    const bundles = await openBundleStore(
      { root: join(config.dataDir, 'bundles'), budgetBytes: config.storageBytes },
      { logger },
    )
    owned.defer(() => bundles.close())
    const registry = meterSource(createSource(config, store))
    const { source } = registry
    owned.defer(() => source.close())
    const peer = await openCachePeer(config, { network, store, logger })
    owned.defer(() => removeRunDir(peer.runDir))
    owned.defer(() => peer.keys.erase())
    owned.defer(() => peer.stop())
    const misbehaviour = createMisbehaviourLog()
    const limits = swarmLimitsOf(config.bandwidth)
    const swarm = createSwarm(
      { limits },
      {
        ...{ mesh: peer.mesh, store: bundles, holders: peer.holders, logger },
        ...{ verifyTicket: peer.verifyTicket, timeMs: peer.time.nowMs },
        onMisbehaviour: misbehaviour.note,
        seed: () => seedShare(peer),
        isCache: peer.lists.isCache,
      },
    )
    await swarm.start()
    owned.defer(() => swarm.stop())
    const feed = createAdvertFeed(
      { regions: config.regions as Region[], onAdvert: () => undefined },
      { mesh: peer.mesh, logger },
    )
    owned.defer(() => feed.stop())
    const ingester = createIngester(
      { minProgressMs: config.minProgressMs },
      {
        ...{ store: bundles, source, announce: swarm.announce, logger },
        onStreamed: createYoungCollector(),
      },
    )
    owned.defer(() => ingester.stop())
    const links = createLinkDesk({
      ...{ peer, swarm, clock: transferClock, logger },
      onMeasured: (message) => talk.send(message),
    })
    const talk = startTalk({ source, ingester, peer, links, misbehaviour, logger, signal })
    owned.defer(() => talk.stop())
    await links.start()
    owned.defer(() => links.stop())
    const metrics = await startMetricsServer(config.metrics, {
      define: (series) =>
        defineCacheMetrics(series, {
          peer,
          chunks: bundles,
          swarm,
          limits: () => limits,
          registry,
        }),
      logger,
    })
    owned.defer(() => metrics?.stop())
    onReady({
      peer: peer.id,
      addresses: peer.mesh.getMultiaddrs().map(String),
      ...(metrics && { metrics: metrics.url }),
    })
    if (!signal.aborted) await once(signal, 'abort')
  } finally {
    await owned.disposeAsync()
  }
}

/** Which of the roster's caches this one is, in an order that all of them know. */
function seedShare({ id, lists }: Peer): SeedShare {
  const caches = lists.members('cache').map(({ peer }) => peer)
  const index = caches.sort().indexOf(id)
  return index < 0 ? { index: 0, of: 1 } : { index, of: caches.length }
}

function createSource(
  { source, allowAddresses, insecureRegistries }: CacheConfig,
  store: Store,
): ImageSource {
  if (source === 'simulated') return createSimulatedSource({ store })
  const setting = 'allow_addresses'
  return createRegistryClient(
    { allow: allowAddresses, setting, insecureRegistries },
    { clock: systemClock },
  )
}

type PeerParts = Readonly<{
  network: Network
  store: Parameters<typeof openPeer>[1]['store']
  logger: Logger
}>

async function openCachePeer(config: CacheConfig, parts: PeerParts): Promise<Peer> {
  const { dataDir } = config
  const seed = await loadOrCreateSeed(join(dataDir, 'identity.key'))
  const { peer } = await identityFromSeed(seed)
  const user = { platform: process.platform, uid: process.getuid?.() }
  const { listen, announce, mdns, privateAddresses, testbed } = config
  const runDir = config.runDir ?? defaultRunDir({ peer, dataDir }, user)
  await prepareRunDir(runDir, { user, logger: parts.logger })
  return await openPeer(
    {
      role: 'cache',
      version: softwareVersion(),
      ...{ seed, network: parts.network, keysOffered },
      ...{ listen, announce, mdns, privateAddresses, testbed },
      regions: config.regions as Region[],
      runDir,
    },
    { store: parts.store, clock: systemClock, random: Math.random, logger: parts.logger },
  )
}
