/**
 * A whole network in virtual time: one coordinator, a cache, N homes, and the checker over them. The
 * parts are production's own; clock, network, disk and randomness are the world's. One seed is one
 * history, and its trace's hash says so.
 */
import { createHash } from 'node:crypto'
import { defaultLeaseNumbers } from '../../coordinator/reconciler/index.ts'
import type { Capacity } from '../../protocol/control/index.ts'
import { type Identity, identityFromSeed } from '../../protocol/identity/index.ts'
import { parseSlotId } from '../../protocol/ids.ts'
import type { Region } from '../../protocol/mesh/index.ts'
import { createNetwork } from '../../protocol/network/index.ts'
import { createSigner } from '../../protocol/signing/index.ts'
import { createRandom } from '../bench/swarm-sim/random.ts'
import { SimCache } from './cache.ts'
import { Checker } from './checker.ts'
import { SimCoordinator } from './coordinator.ts'
import { SimNode } from './node.ts'
import { Disk } from './world/disk.ts'
import { Machine } from './world/machine.ts'
import { SimNetwork } from './world/network.ts'
import { Timeline } from './world/timeline.ts'

const gib = 2 ** 30
/** Often enough to see each epoch: a lease lasts three times as long. */
const tickMs = 5_000

export class Simulation {
  readonly timeline = new Timeline()
  readonly random: () => number
  readonly network: SimNetwork
  readonly nodes: readonly SimNode[]
  readonly coordinator: SimCoordinator
  readonly checker: Checker
  /** Nodes that something is done to now. */
  readonly troubled = new Set<SimNode>()
  readonly #cache: SimCache
  readonly #hash = createHash('sha256')
  readonly trace: string[] = []
  readonly #keepsTrace: boolean

  private constructor(
    parts: Readonly<{
      random: () => number
      make: (world: Simulation) => {
        network: SimNetwork
        nodes: readonly SimNode[]
        coordinator: SimCoordinator
        cache: SimCache
      }
      keepsTrace: boolean
    }>,
  ) {
    this.random = parts.random
    this.#keepsTrace = parts.keepsTrace
    const { leaseMs, skewMs, guardMs } = defaultLeaseNumbers
    this.checker = new Checker(
      {
        undisturbedMs: leaseMs + skewMs + guardMs,
        isTroubled: (peer) => [...this.troubled].some(({ identity }) => identity.peer === peer),
        overlapMs: (group) => {
          const { strict, lostAfterMs } = this.coordinator.extensionOf(group)
          return strict ? 0 : leaseMs + skewMs + guardMs + lostAfterMs
        },
      },
      () => this.timeline.nowMs,
    )
    const made = parts.make(this)
    this.network = made.network
    this.nodes = made.nodes
    this.coordinator = made.coordinator
    this.#cache = made.cache
  }

  /** Draws the network of a seed; nothing runs before `start`. */
  static async create(
    init: Readonly<{ seed: number; nodes: number; downloadMs?: number; keepsTrace?: boolean }>,
  ): Promise<Simulation> {
    const random = createRandom(init.seed)
    const bytes = (length: number): Uint8Array =>
      Uint8Array.from({ length }, () => Math.floor(random() * 256))
    const made = await createNetwork({
      ...{ name: 'sim', coordinatorAddrs: ['/ip4/20.0.0.1/tcp/4001'], issuedMs: 0, random: bytes },
    })
    const { network, coordinatorSeed, orderSeed } = made
    const identities: Identity[] = []
    for (let at = 0; at < init.nodes + 2; at++) identities.push(await identityFromSeed(bytes(32)))
    const coordinatorIdentity = await identityFromSeed(coordinatorSeed)
    return new Simulation({
      random,
      keepsTrace: init.keepsTrace ?? false,
      make(world) {
        const { timeline } = world
        const internet = new SimNetwork({ timeline, random })
        const machineAt = (name: string, at: number): Machine =>
          new Machine({
            name,
            address: `20.${(at >> 16) & 255}.${(at >> 8) & 255}.${at & 255}`,
            timeline,
          })
        const [cacheIdentity, ...homes] = identities
        if (!cacheIdentity) throw new Error('no identity was made')
        const cache = new SimCache({
          ...{ machine: machineAt('cache', 2), identity: cacheIdentity, network, internet, random },
          disk: new Disk({ random }),
        })
        const coordinator = new SimCoordinator({
          ...{
            machine: machineAt('coordinator', 1),
            identity: coordinatorIdentity,
            network,
            internet,
          },
          ...{ orderSigner: createSigner(orderSeed), caches: [cacheIdentity.peer], random },
          disk: new Disk({ random }),
        })
        const nodes = homes.slice(0, init.nodes).map((identity, at) => {
          return new SimNode({
            ...{ machine: machineAt(`home${at}`, 1_000 + at), identity, network, internet, random },
            ...{
              disk: new Disk({ random }),
              capacity,
              downloadMs: (init.downloadMs ?? 60_000) * (0.5 + random()),
            },
            onContainer(event) {
              world.note(
                `${event.runs ? 'runs' : 'stops'} ${event.node.machine.name} ${parseSlotId(event.slot).number}`,
              )
              world.checker.container(event)
            },
          })
        })
        return { network: internet, nodes, coordinator, cache }
      },
    })
  }

  /** Everybody starts, homes over the first half minute. */
  async start(): Promise<void> {
    await this.startCoordinator()
    await this.#cache.start()
    for (const node of this.nodes) {
      this.timeline.after(this.random() * 30_000, () => void node.start())
    }
    this.#look()
  }

  async startCoordinator(): Promise<void> {
    this.checker.disturbed()
    await this.coordinator.start()
    this.checker.disturbed()
    for (const what of this.coordinator.broken()) {
      this.checker.violated('an acknowledged write is lost', what)
    }
  }

  /** Something was done to the world. */
  note(what: string, node?: SimNode): void {
    if (node) this.checker.disturbed(node.identity.peer)
    const line = `${this.timeline.nowMs} ${what}`
    this.#hash.update(`${line}\n`)
    if (this.#keepsTrace) this.trace.push(line)
  }

  /** Lets time pass. */
  async run(forMs: number): Promise<void> {
    await this.timeline.run(this.timeline.nowMs + forMs)
  }

  traceHash(): string {
    return this.#hash.copy().digest('hex')
  }

  #look(): void {
    this.timeline.after(tickMs, () => {
      this.#look()
      this.checker.tick()
      const { plane, groups } = this.coordinator
      if (!plane || !groups) return
      for (const group of groups.all()) this.checker.look(group, plane.view.instances(group.id))
    })
  }
}

const capacity: Capacity = {
  ...{ milliCpus: 8_000, memoryBytes: 16 * gib, storageBytes: 200 * gib, gpus: [] },
  ...{ region: 'local' as Region, versions: {}, allocationsMax: 1, envAllowed: true },
}
