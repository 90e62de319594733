/**
 * What this node can lend: the machine, less what its chef keeps, as measured and not as claimed.
 * One value serves the coordinator (over the control stream) and gossip.
 */
import { readFile, statfs } from 'node:fs/promises'
import { cpus, freemem, loadavg, totalmem } from 'node:os'
import type { Capacity, Gpu } from '../../protocol/control/index.ts'
import type { BundleId, PeerId } from '../../protocol/ids.ts'
import type { CapacityAdvert, Region } from '../../protocol/mesh/index.ts'
import type { EngineInfo } from '../engine/engine.ts'

/** What the chef lends at most; absent: all but a share for the desktop. */
export type Lent = Readonly<{
  cpus?: number
  memoryBytes?: number
  storageBytes?: number
  allocationsMax: number
  region: Region
  /** What the chef takes; absent: everything. */
  accepts?: NonNullable<Capacity['accepts']>
}>

/** Kept for the desktop and the daemon where the chef says nothing. */
const memoryKeptBytes = 1 << 30
const storageKeptShare = 0.1

export type Machine = Readonly<{
  milliCpus: number
  memoryBytes: number
  storageFreeBytes: number
}>

/** Measures this machine; storage where `dataDir` lies. */
export async function measureMachine(dataDir: string): Promise<Machine> {
  const disk = await statfs(dataDir)
  return {
    milliCpus: cpus().length * 1_000,
    memoryBytes: totalmem(),
    storageFreeBytes: disk.bavail * disk.bsize,
  }
}

/** The node's capacity. Pure. */
export function capacityOf(
  lent: Lent,
  machine: Machine,
  engine: EngineInfo,
  gpus: readonly Gpu[],
  options: { readonly version: string; readonly envAllowed: boolean },
): Capacity {
  const { nvidiaToolkit, ...versions } = engine.versions
  return {
    milliCpus: Math.min(machine.milliCpus, Math.floor((lent.cpus ?? Infinity) * 1_000)),
    memoryBytes: Math.min(
      machine.memoryBytes,
      lent.memoryBytes ?? Math.max(0, machine.memoryBytes - memoryKeptBytes),
    ),
    storageBytes: Math.min(
      machine.storageFreeBytes,
      lent.storageBytes ?? Math.floor(machine.storageFreeBytes * (1 - storageKeptShare)),
    ),
    gpus: [...gpus],
    region: lent.region,
    versions: {
      potluck: options.version,
      ...versions,
      ...(nvidiaToolkit === undefined ? {} : { toolkit: nvidiaToolkit }),
    },
    allocationsMax: lent.allocationsMax,
    envAllowed: options.envAllowed,
    ...(lent.accepts ? { accepts: lent.accepts } : {}),
  }
}

/** The class that a product belongs to: `NVIDIA GeForce RTX 4090` is `geforce-rtx-4090`. */
export function gpuClassOf(name: string): string {
  const words = name.toLowerCase().replace(/^nvidia\s+/, '')
  return words
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '')
    .slice(0, 64)
}

/** The same, with load and bundles, as gossip carries it. */
export async function advertOf(
  capacity: Capacity,
  facts: {
    readonly peer: PeerId
    readonly seq: number
    readonly instances: number
    readonly bundles: readonly BundleId[]
    readonly quota: EngineInfo['storageQuota']
  },
): Promise<CapacityAdvert> {
  const { versions, link } = capacity
  const cores = cpus()
  return {
    peer: facts.peer,
    seq: facts.seq,
    cpu: {
      cores: Math.ceil(capacity.milliCpus / 1_000),
      model: (cores[0]?.model ?? '').slice(0, 128),
    },
    memoryBytes: capacity.memoryBytes,
    diskBytes: capacity.storageBytes,
    gpus: capacity.gpus.map((gpu) => ({ ...gpu, class: gpuClassOf(gpu.name) })),
    region: capacity.region as Region,
    ...(link ? { link: { upBitsPerS: link.upBitsPerS, downBitsPerS: link.downBitsPerS } } : {}),
    versions: { ...versions, potluck: versions.potluck ?? '' },
    load: {
      cpu: Math.min(1, (loadavg()[0] ?? 0) / Math.max(1, cores.length)),
      memory: 1 - (await memoryFreeBytes()) / totalmem(),
      instances: facts.instances,
    },
    quota: facts.quota,
    ...(capacity.reach && { reach: capacity.reach }),
    bundles: facts.bundles.slice(-256),
  }
}

/** What the kernel could give without swapping; `freemem` leaves the page cache out. */
async function memoryFreeBytes(): Promise<number> {
  const text = await readFile('/proc/meminfo', 'latin1').catch(() => '')
  const kibibytes = /^MemAvailable:\s+(\d+) kB$/m.exec(text)?.[1]
  return kibibytes === undefined ? freemem() : Math.min(totalmem(), Number(kibibytes) * 1_024)
}
