/**
 * The guard's process on a simulated machine: it outlives the daemon and stops what may no longer
 * run. Its file is gone with the power, and so is all that it was for.
 */

import type { Guard } from '../../node/guard/index.ts'
import type { InstanceId } from '../../protocol/ids.ts'
import type { Machine } from './world/machine.ts'

export class SimGuard implements Guard {
  readonly #machine: Machine
  readonly #stop: (instance: InstanceId) => void
  #stopAtMs: ReadonlyMap<InstanceId, number> = new Map()

  /** @param stop kills the instance's container */
  constructor(init: Readonly<{ machine: Machine; stop: (instance: InstanceId) => void }>) {
    this.#machine = init.machine
    this.#stop = init.stop
  }

  /** What the daemon's next life finds. */
  remembered(): ReadonlyMap<InstanceId, number> {
    return this.#stopAtMs
  }

  async allow(stopAtMs: ReadonlyMap<InstanceId, number>): Promise<void> {
    for (const [instance, atMs] of stopAtMs) {
      if (this.#stopAtMs.get(instance) !== atMs) this.#watch(instance, atMs)
    }
    this.#stopAtMs = new Map(stopAtMs)
  }

  async stop(): Promise<void> {
    this.#stopAtMs = new Map()
  }

  powerOff(): void {
    this.#stopAtMs = new Map()
  }

  #watch(instance: InstanceId, atMs: number): void {
    const { timeline } = this.#machine
    const bootId = this.#machine.bootId
    timeline.after(atMs - this.#machine.nowMs(), () =>
      this.#machine.gate(() => {
        if (this.#machine.bootId !== bootId) return
        const dueMs = this.#stopAtMs.get(instance)
        if (dueMs === undefined || dueMs <= this.#machine.nowMs()) this.#stop(instance)
      }),
    )
  }
}
