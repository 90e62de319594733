/**
 * The node's daemon: what it starts, in which order, and how it ends. Everything is opened here and
 * closed here; recovery is this same start.
 */
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { openBundleStore } from '../../protocol/chunk-store/index.ts'
import { bootId, systemClock } from '../../protocol/clock.ts'
import { describeError } from '../../protocol/errors.ts'
import { identityFromSeed, loadOrCreateSeed, machineIdOf } from '../../protocol/identity/index.ts'
import type { Logger } from '../../protocol/log/index.ts'
import type { Region } from '../../protocol/mesh/index.ts'
import { startMetricsServer } from '../../protocol/metrics/index.ts'
import { readNetworkFile } from '../../protocol/network/index.ts'
import {
  createMisbehaviourLog,
  defaultRunDir,
  openPeer,
  prepareRunDir,
  removeRunDir,
  softwareVersion,
} from '../../protocol/peer/index.ts'
import { createLevelStore } from '../../protocol/store/index.ts'
import {
  type Allocations,
  createAllocations,
  createImageFetcher,
  openSlotBook,
} from '../allocations/index.ts'
import type { NodeConfig } from '../config.ts'
import { rememberedGuard } from '../guard/index.ts'
import { createPhaseTimes, defineNodeMetrics } from '../metrics/index.ts'
import { openSecurityDesk, serveAlarms } from '../security/index.ts'
import { createCapacityWatch } from './capacity-watch.ts'
import { type CoordinatorLink, connectCoordinator } from './coordinator-link.ts'
import { startEngineHost } from './engine-host.ts'
import { startLeaseWatch } from './lease-watch.ts'
import { createNodeLine } from './line.ts'
import { createOwnership } from './ownership.ts'
import { applySettings } from './reload.ts'
import { startNodeSwarm } from './swarm.ts'

export type NodeContext = Readonly<{
  /** Aborted: stop cleanly. */
  signal: AbortSignal
  logger: Logger
  onReady: (info: Readonly<Record<string, unknown>>) => void
  /** Calls `listener` with the settings whenever they were read again. */
  onReload?(listener: (config: NodeConfig) => void): void
}>

const tickMs = 1_000
const ensureMs = 30_000

/** Runs until `signal`. @throws what keeps it from starting; what ends it early. */
export async function runNode(config: NodeConfig, context: NodeContext): Promise<void> {
  const { signal, logger } = context
  const clock = systemClock
  const random = Math.random
  const version = softwareVersion()
  const user = { platform: process.platform, uid: process.getuid?.() }
  await using stack = new AsyncDisposableStack()

  const network = await readNetworkFile(config.network)
  const seed = await loadOrCreateSeed(join(config.dataDir, 'identity.key'))
  const { peer: node } = await identityFromSeed(seed)
  const runDir = config.runDir ?? defaultRunDir({ peer: node, dataDir: config.dataDir }, user)
  await prepareRunDir(runDir, { user, logger })
  stack.defer(() => (signal.aborted ? removeRunDir(runDir) : undefined))

  const store = await createLevelStore({ path: join(config.dataDir, 'state') })
  stack.defer(() => store.close())
  const chunks = await openBundleStore(
    { root: join(config.dataDir, 'chunks'), budgetBytes: config.chunks.budgetBytes },
    { logger },
  )
  stack.defer(() => chunks.close())
  const remembered = await rememberedGuard(runDir, bootId())
  const host = await startEngineHost(
    { config, node, runDir, bootId: bootId() },
    { clock, logger, user, signal },
  )
  stack.defer(() => host.stop())
  const peer = await openPeer(
    {
      ...{ role: 'node' as const, version, seed, network, runDir },
      listen: config.listen,
      announce: config.announce,
      mdns: config.mdns,
      home: { upnp: config.upnp, punch: config.punch, relay: config.relay },
      testbed: config.testbed,
      privateAddresses: true,
      regions: [config.region as Region],
    },
    { store, clock, random, logger },
  )
  stack.defer(() => peer.stop())

  const misbehaviour = createMisbehaviourLog()
  const line = createNodeLine(config.bandwidth, { peer, random, logger })
  const swarm = await startNodeSwarm(
    { dataDir: config.dataDir, signal },
    { peer, chunks, line, misbehaviour, logger },
  )
  stack.defer(() => swarm.stop())

  let link: CoordinatorLink | undefined
  const leases = startLeaseWatch(remembered.world, {
    ...{ peer, clock, random, logger },
    hints: () => allocations.docket.hints(),
  })
  stack.defer(() => leases.stop())
  const times = createPhaseTimes({ clock })
  const images = createImageFetcher({
    swarm,
    store: chunks,
    engine: host.engine,
    ticketFor: (bundle) => allocations.docket.ticketFor(bundle),
    hintsFor: (bundle) => allocations.docket.hintsFor(bundle),
    isCache: peer.lists.isCache,
    clock,
    logger,
  })
  const allocations: Allocations = createAllocations(
    {
      node,
      allocationsMax: config.lend.allocations,
      remembered: remembered.times,
      onReport: (instance) => link?.send({ type: 'report', instance }),
    },
    {
      ...{ keeper: peer.keeper, time: peer.time, keys: peer.keys.ring, guard: host.guard },
      ...{ leases, clock, logger },
      book: await openSlotBook({ store }),
      engine: times.engine(host.engine),
      images: times.images(images),
    },
  )
  await allocations.recover({ signal })
  // It may have been lowered since: what nothing here needs goes.
  await chunks.setBudget(config.chunks.budgetBytes)
  const capacity = await createCapacityWatch(
    { config, node, version },
    {
      ...{ engine: host.engine, mesh: peer.mesh, store: chunks, allocations },
      ...{ clock, logger, signal },
      reach: () => peer.reach.now,
      link: line.link,
    },
  )
  const security = await openSecurityDesk({
    ...{ store, allocations, logger },
    send: (report) => link?.send(report),
    ...{ newId: randomUUID, wallMs: Date.now },
  })
  stack.defer(
    await serveAlarms(config.dataDir, { desk: security, docket: allocations.docket, logger }),
  )
  const ownership = createOwnership(config.claim, { clock, logger })
  link = connectCoordinator({
    ...{ ownership, line, peer, allocations, leases, capacity, chunks, swarm, misbehaviour },
    ...{ clock, security, logger },
  })

  const metrics = await startMetricsServer(config.metrics, {
    define: (series) =>
      defineNodeMetrics(series, {
        ...{ peer, chunks, swarm, allocations, times, version },
        limits: line.limits,
        chef: () => ownership.chef,
      }),
    logger,
  })
  stack.defer(() => metrics?.stop())
  context.onReload?.((next) => applySettings({ start: config, next }, { line, chunks, logger }))
  context.onReady({
    peer: node,
    machine: machineIdOf(node),
    addresses: peer.mesh.getMultiaddrs().map(String),
    runDir,
    ...(metrics && { metrics: metrics.url }),
  })
  await Promise.all([
    every(tickMs, signal, async () => {
      allocations.tick()
      link?.tellProgress()
    }),
    every(ensureMs, signal, async () => {
      await host.ensure({ signal }).catch((error: unknown) => {
        if (!signal.aborted) logger.error({ error }, 'the engine or its rules cannot be kept up')
      })
      await allocations.sweep({ signal }).catch((error: unknown) => {
        if (!signal.aborted) logger.warn({ error }, 'could not look for what has no order')
      })
    }),
  ])
  await link.leave(describeError(signal.reason))
  await peer.keys.erase()
}

/** Does `work` now and after each pause, until `signal`. */
async function every(ms: number, signal: AbortSignal, work: () => Promise<void>): Promise<void> {
  while (!signal.aborted) {
    await work()
    await systemClock.sleep(ms, { signal }).catch(() => undefined)
  }
}
