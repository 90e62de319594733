/**
 * A home with a node: the daemon's own parts (orders, docket, control link, deadlines) over a
 * simulated engine, a guard, a disk and a line. Containers outlive the daemon, and die with the
 * power.
 */
import { type Allocations, createAllocations, openSlotBook } from '../../node/allocations/index.ts'
import { connectCoordinator } from '../../node/daemon/coordinator-link.ts'
import { startLeaseWatch } from '../../node/daemon/lease-watch.ts'
import { createOwnership } from '../../node/daemon/ownership.ts'
import { createSimulatedEngine, type Engine } from '../../node/engine/index.ts'
import type { BundleStore } from '../../protocol/chunk-store/index.ts'
import type { Capacity } from '../../protocol/control/index.ts'
import type { Identity } from '../../protocol/identity/index.ts'
import type { BundleId, InstanceId, SlotId } from '../../protocol/ids.ts'
import { silentLogger } from '../../protocol/log/index.ts'
import type { Network } from '../../protocol/network/index.ts'
import { createMisbehaviourLog, type Peer } from '../../protocol/peer/index.ts'
import type { Swarm } from '../../protocol/swarm/index.ts'
import { SimGuard } from './guard.ts'
import { createSimImages, type ImageShelf } from './images.ts'
import { createMemoryRing } from './memory-ring.ts'
import { openSimPeer } from './peer.ts'
import type { Disk } from './world/disk.ts'
import type { Machine, MachineLife } from './world/machine.ts'
import type { SimNetwork } from './world/network.ts'

export type SimNodeInit = Readonly<{
  machine: Machine
  identity: Identity
  network: Network
  internet: SimNetwork
  disk: Disk
  capacity: Capacity
  /** Until a whole image is here, unless it was before. */
  downloadMs: number
  random: () => number
  /** A container runs, or runs no more. */
  onContainer: (seen: ContainerEvent) => void
}>

export type ContainerEvent = Readonly<{
  node: SimNode
  slot: SlotId
  instance: InstanceId
  runs: boolean
}>

const tickMs = 1_000
const idleTickMs = 10_000
const startMs = 300
const unpackMs = 2_000

export class SimNode {
  readonly machine: Machine
  readonly identity: Identity
  readonly #init: SimNodeInit
  readonly #guard: SimGuard
  readonly #ring = createMemoryRing()
  readonly #shelf: ImageShelf = { whole: new Set() }
  readonly #running = new Map<InstanceId, SlotId>()
  #engine: Engine
  #life: MachineLife | undefined
  #allocations: Allocations | undefined
  #leave: ((reason: string) => Promise<void>) | undefined

  constructor(init: SimNodeInit) {
    this.#init = init
    this.machine = init.machine
    this.identity = init.identity
    this.#engine = this.#newEngine()
    this.#guard = new SimGuard({ machine: this.machine, stop: (it) => void this.#kill(it) })
  }

  get isUp(): boolean {
    return this.#life?.alive === true
  }

  /** Containers that run here now. */
  get running(): ReadonlyMap<InstanceId, SlotId> {
    return this.#running
  }

  async start(): Promise<void> {
    const { machine, identity, network, internet, disk, random } = this.#init
    const life = machine.begin()
    this.#life = life
    const { clock } = life
    const store = disk.open(life)
    const host = internet.host({ peer: identity.peer, machine, life })
    const peer = await openSimPeer({
      ...{ role: 'node' as const, network, identity, ring: this.#ring, store, host, life, random },
    })
    const remembered = this.#guard.remembered()
    const leases = startLeaseWatch(remembered.world, {
      ...{ peer: peer as unknown as Peer, clock, random, logger: silentLogger },
      hints: () => this.#allocations?.docket.hints() ?? [],
    })
    const images = createSimImages(
      { downloadMs: this.#init.downloadMs },
      { shelf: this.#shelf, engine: this.#engine, clock },
    )
    const allocations = createAllocations(
      {
        node: identity.peer,
        allocationsMax: this.#init.capacity.allocationsMax,
        remembered: remembered.times,
        onReport: (instance) => link?.send({ type: 'report', instance }),
      },
      {
        ...{ keeper: peer.keeper, time: peer.time, keys: this.#ring },
        book: await openSlotBook({ store }),
        ...{
          engine: this.#engine,
          images,
          guard: this.#guard,
          leases,
          clock,
          logger: silentLogger,
        },
      },
    )
    this.#allocations = allocations
    let link: ReturnType<typeof connectCoordinator> | undefined
    const { signal } = new AbortController()
    await allocations.recover({ signal })
    const bundles = () => [...this.#shelf.whole].map((id) => ({ id, complete: true }))
    link = connectCoordinator({
      peer: { connect: peer.connect } as Peer,
      allocations,
      leases,
      capacity: { now: () => this.#init.capacity },
      chunks: {
        bundles,
        remove: async (id: BundleId) => void this.#shelf.whole.delete(id),
      } as unknown as BundleStore,
      ownership: createOwnership(undefined, { clock, logger: silentLogger }),
      security: { resend: () => undefined, taken: async () => undefined },
      line: { onUp: () => undefined, roundTrip: () => undefined },
      swarm: { addHints: () => undefined, announce: () => undefined } as unknown as Swarm,
      misbehaviour: createMisbehaviourLog(),
      clock,
      logger: silentLogger,
    })
    this.#leave = (reason) => link.leave(reason)
    void this.#tick(life, allocations)
  }

  /** kill -9 of the daemon: containers and guard go on. */
  crash(): void {
    this.#life?.end('killed')
  }

  /** The daemon hangs; all else goes on. */
  freeze(): void {
    this.#life?.freeze()
  }

  thaw(): void {
    this.#life?.thaw()
  }

  /** The machine sleeps: what runs on it does not run meanwhile. */
  suspend(): void {
    for (const [instance, slot] of this.#running) {
      this.#init.onContainer({ node: this, slot, instance, runs: false })
    }
    this.machine.suspend()
  }

  resume(): void {
    for (const [instance, slot] of this.#running) {
      this.#init.onContainer({ node: this, slot, instance, runs: true })
    }
    this.machine.resume()
  }

  powerOff(): void {
    this.machine.powerOff()
    this.#guard.powerOff()
    this.#ring.lose()
    void this.#engine.close()
    for (const [instance, slot] of [...this.#running]) this.#saw(instance, slot, false)
    this.#engine = this.#newEngine()
  }

  async powerOn(): Promise<void> {
    this.machine.powerOn()
    await this.start()
  }

  /** The chef takes the machine back, in good order. */
  async leave(): Promise<void> {
    const life = this.#life
    await this.#leave?.('the chef is back')
    life?.end('killed')
  }

  async #tick(life: MachineLife, allocations: Allocations): Promise<void> {
    for (;;) {
      // Deadlines lie a minute ahead of an order: who had none need not look each second.
      const isIdle = allocations.docket.entries().length === 0
      await life.clock.sleep(isIdle ? idleTickMs : tickMs)
      allocations.tick()
    }
  }

  async #kill(instance: InstanceId): Promise<void> {
    const signal = new AbortController().signal
    for (const { id, instance: its } of await this.#engine.list({ signal })) {
      if (its === instance) await this.#engine.remove(id, { signal, graceMs: 0 })
    }
  }

  /** Its clock is the machine's: an engine is no child of the daemon. */
  #newEngine(): Engine {
    const { machine } = this
    const clock = machine.begin().clock
    const engine = createSimulatedEngine(
      {
        ...{ pull: 'pretend', pullMs: 0, unpackMs, startMs, stopMs: 50 },
        program: ({ instance, slot }) => {
          if (!this.#running.has(instance)) this.#saw(instance, slot, true)
          return { lines: [] }
        },
      },
      { clock },
    )
    return {
      ...engine,
      remove: async (id, options) => {
        const found = (await engine.list(options)).find((container) => container.id === id)
        await engine.remove(id, options)
        if (found) this.#saw(found.instance, found.slot, false)
      },
    }
  }

  #saw(instance: InstanceId, slot: SlotId, runs: boolean): void {
    if (this.#running.has(instance) === runs) return
    if (runs) this.#running.set(instance, slot)
    else this.#running.delete(instance)
    this.#init.onContainer({ node: this, slot, instance, runs })
  }
}
