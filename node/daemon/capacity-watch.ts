/**
 * This node's capacity, measured at start and now and then, and published to its region: beats tell
 * the coordinator, gossip tells the rest.
 */
import type { BundleStore } from '../../protocol/chunk-store/index.ts'
import type { Clock } from '../../protocol/clock.ts'
import type { Capacity, Link, Reach } from '../../protocol/control/index.ts'
import type { PeerId } from '../../protocol/ids.ts'
import type { Logger } from '../../protocol/log/index.ts'
import { createAdvertPublisher, type Mesh, type Region } from '../../protocol/mesh/index.ts'
import type { Allocations } from '../allocations/index.ts'
import { advertOf, capacityOf, findGpus, measureMachine } from '../capacity/index.ts'
import type { NodeConfig } from '../config.ts'
import type { Engine } from '../engine/index.ts'

export interface CapacityWatch {
  now(): Capacity
}

/** Adverts are hints: a minute old is fresh enough, and costs an idle home nothing. */
const publishMs = 60_000

/** Measures once before it resolves; then goes on until `signal`. */
export async function createCapacityWatch(
  init: { readonly config: NodeConfig; readonly node: PeerId; readonly version: string },
  parts: {
    readonly engine: Engine
    readonly mesh: Mesh
    readonly store: BundleStore
    readonly allocations: Allocations
    readonly reach: () => Reach
    /** The line, once it was measured. */
    readonly link: () => Link | undefined
    readonly clock: Clock
    readonly logger: Logger
    readonly signal: AbortSignal
  },
): Promise<CapacityWatch> {
  const { config, node, version } = init
  const { engine, mesh, store, allocations, clock, logger, signal } = parts
  const { lend } = config
  const info = await engine.info({ signal })
  const gpus = lend.gpu ? await findGpus({ signal, logger }) : []
  const lent = {
    ...(lend.cpus === undefined ? {} : { cpus: lend.cpus }),
    ...(lend.memoryBytes === undefined ? {} : { memoryBytes: lend.memoryBytes }),
    ...(lend.storageBytes === undefined ? {} : { storageBytes: lend.storageBytes }),
    allocationsMax: lend.allocations,
    region: config.region as Region,
    accepts: {
      ...{ gpuJobs: lend.jobs !== 'cpu', cpuJobs: lend.jobs !== 'gpu' },
      minMicrosPerHour: Math.round(lend.minPricePerHour * 1e6),
    },
  }
  const envAllowed = info.managed || info.kind === 'simulated' || config.engine.allowEnv
  const measure = async (): Promise<Capacity> =>
    capacityOf(lent, await measureMachine(config.dataDir), info, gpus, { version, envAllowed })
  let capacity = await measure()

  const now = (): Capacity => {
    const link = parts.link()
    return { ...capacity, reach: parts.reach(), ...(link && { link }) }
  }
  const publish = createAdvertPublisher({ mesh })
  const run = async (): Promise<void> => {
    while (!signal.aborted) {
      try {
        const facts = {
          peer: node,
          seq: Date.now(),
          instances: allocations.docket.entries().length,
          bundles: store.bundles().flatMap((b) => (b.complete ? [b.id] : [])),
          quota: info.storageQuota,
        }
        await publish(await advertOf(now(), facts))
      } catch (error) {
        if (!signal.aborted) logger.debug({ error }, 'capacity could not be published')
      }
      await clock.sleep(publishMs, { signal }).catch(() => undefined)
      if (!signal.aborted) capacity = await measure().catch(() => capacity)
    }
  }
  void run()
  return { now }
}
