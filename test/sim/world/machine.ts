/**
 * One PC (or server) of the simulated world: it may be off, or suspended with everything on it. A
 * life is one process on it, from its start to its end: what a process that was killed still waited
 * for never happens, as with kill -9. The boot clock runs on through suspends and starts anew at boot.
 */
import type { Clock } from '../../../protocol/clock.ts'
import type { Timeline } from './timeline.ts'

export interface Life {
  /** Of the machine's boot, as this process waits by it. */
  readonly clock: Clock
  readonly alive: boolean
  /** Runs it now; later when the machine is suspended or the process stopped; never once it is dead. */
  gate(run: () => void): void
  /** Called when the process is gone. */
  onEnd(listener: (how: 'killed' | 'power') => void): void
}

export class Machine {
  readonly name: string
  /** Its public IPv4 address: what others see. */
  readonly address: string
  readonly timeline: Timeline
  readonly #lives = new Set<MachineLife>()
  readonly #held: (() => void)[] = []
  #bootedMs = 0
  #boots = 1
  #suspended = false
  #on = true

  constructor(init: Readonly<{ name: string; address: string; timeline: Timeline }>) {
    this.name = init.name
    this.address = init.address
    this.timeline = init.timeline
  }

  get on(): boolean {
    return this.#on
  }

  get bootId(): string {
    return `${this.name}-boot-${this.#boots}`
  }

  /** The boot clock. */
  nowMs(): number {
    return this.timeline.nowMs - this.#bootedMs
  }

  /** Starts a process. */
  begin(): MachineLife {
    const life = new MachineLife(this)
    this.#lives.add(life)
    return life
  }

  end(life: MachineLife): void {
    this.#lives.delete(life)
  }

  /** Runs it now, or at the resume. What was due while the power was off is lost. */
  gate(run: () => void): void {
    if (!this.#on) return
    if (this.#suspended) this.#held.push(run)
    else run()
  }

  suspend(): void {
    this.#suspended = true
  }

  resume(): void {
    if (!this.#suspended) return
    this.#suspended = false
    for (const run of this.#held.splice(0)) run()
  }

  powerOff(): void {
    this.#suspended = false
    this.#held.length = 0
    this.#on = false
    for (const life of [...this.#lives]) life.end('power')
  }

  powerOn(): void {
    if (this.#on) return
    this.#on = true
    this.#boots += 1
    this.#bootedMs = this.timeline.nowMs
  }
}

function reasonOf(signal: AbortSignal | undefined): Error {
  const reason: unknown = signal?.reason
  return reason instanceof Error ? reason : new Error(String(reason))
}

class MachineLife implements Life {
  readonly #machine: Machine
  readonly #listeners: ((how: 'killed' | 'power') => void)[] = []
  readonly #held: (() => void)[] = []
  #frozen = false
  #alive = true
  readonly clock: Clock

  constructor(machine: Machine) {
    this.#machine = machine
    this.clock = {
      nowMs: () => machine.nowMs(),
      sleep: (ms, options) => this.#sleep(ms, options?.signal),
      timeout: (ms) => this.#timeout(ms),
    }
  }

  get alive(): boolean {
    return this.#alive
  }

  gate(run: () => void): void {
    this.#machine.gate(() => {
      if (!this.#alive) return
      if (this.#frozen) this.#held.push(run)
      else run()
    })
  }

  onEnd(listener: (how: 'killed' | 'power') => void): void {
    this.#listeners.push(listener)
  }

  /** SIGSTOP: the process does nothing, the rest of the machine goes on. */
  freeze(): void {
    this.#frozen = true
  }

  thaw(): void {
    this.#frozen = false
    for (const run of this.#held.splice(0)) this.gate(run)
  }

  /** `killed`: the kernel closes its sockets. `power`: nobody does. */
  end(how: 'killed' | 'power' = 'killed'): void {
    if (!this.#alive) return
    this.#alive = false
    this.#held.length = 0
    this.#machine.end(this)
    for (const listener of this.#listeners) listener(how)
  }

  #timeout(ms: number): AbortSignal {
    const late = new AbortController()
    this.#machine.timeline.after(ms, () =>
      this.gate(() => late.abort(new DOMException(`${ms} ms`, 'TimeoutError'))),
    )
    return late.signal
  }

  #sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
    if (signal?.aborted) return Promise.reject(reasonOf(signal))
    const { timeline } = this.#machine
    return new Promise((resolve, reject) => {
      const wake = timeline.after(ms, () => {
        this.gate(() => {
          signal?.removeEventListener('abort', stop)
          resolve()
        })
      })
      const stop = (): void => {
        timeline.callOff(wake)
        reject(reasonOf(signal))
      }
      signal?.addEventListener('abort', stop, { once: true })
    })
  }
}

export type { MachineLife }
