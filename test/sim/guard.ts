/**
 * The guard's process on a simulated machine: it outlives the daemon and stops what may no longer
 * run. Its file is gone with the power, and so is all that it was for.
 */

import type { Guard, GuardTime, KnownWorld, rememberedGuard } from '../../node/guard/index.ts'
import type { InstanceId } from '../../protocol/ids.ts'
import type { Machine } from './world/machine.ts'

export class SimGuard implements Guard {
  readonly #machine: Machine
  readonly #stop: (instance: InstanceId) => void
  #times: ReadonlyMap<InstanceId, GuardTime> = new Map()
  #world: KnownWorld = {}

  /** @param stop kills the instance's container */
  constructor(init: Readonly<{ machine: Machine; stop: (instance: InstanceId) => void }>) {
    this.#machine = init.machine
    this.#stop = init.stop
  }

  /** What the daemon's next life finds. */
  remembered(): Awaited<ReturnType<typeof rememberedGuard>> {
    return { times: this.#times, world: this.#world }
  }

  async allow(times: ReadonlyMap<InstanceId, GuardTime>, world: KnownWorld = {}): Promise<void> {
    for (const [instance, { stopAtMs }] of times) {
      if (this.#times.get(instance)?.stopAtMs !== stopAtMs) this.#watch(instance, stopAtMs)
    }
    this.#times = new Map(times)
    this.#world = world
  }

  async stop(): Promise<void> {
    this.#times = new Map()
    this.#world = {}
  }

  powerOff(): void {
    this.#times = new Map()
    this.#world = {}
  }

  #watch(instance: InstanceId, atMs: number): void {
    const { timeline } = this.#machine
    const bootId = this.#machine.bootId
    timeline.after(atMs - this.#machine.nowMs(), () =>
      this.#machine.gate(() => {
        if (this.#machine.bootId !== bootId) return
        const dueMs = this.#times.get(instance)?.stopAtMs
        if (dueMs === undefined || dueMs <= this.#machine.nowMs()) this.#stop(instance)
      }),
    )
  }
}
