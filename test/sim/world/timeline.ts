/**
 * Virtual time of a whole network: events in order of time, then of asking. Time jumps from one
 * moment to the next; what promises do between two moments is done before the next begins, so the
 * same seed gives the same history. Nothing in a simulation may wait for a real timer or a disk.
 */
import { setImmediate as settled } from 'node:timers/promises'
import TinyQueue from 'tinyqueue'

/** Steps of promises between two moments; what takes more goes on in the next, at a later time. */
const stepsAMoment = 16
/** A turn of Node's own loop costs a system call: it is taken now and then. */
const momentsATurn = 32

const nextStep = Promise.resolve()

/** Something that will happen; `run` is dropped when it is called off. */
export type Planned = {
  readonly atMs: number
  readonly order: number
  run: (() => void) | undefined
}

export class Timeline {
  readonly #queue = new TinyQueue<Planned>([], (a, b) => a.atMs - b.atMs || a.order - b.order)
  #nowMs = 0
  #order = 0
  /** Events that have happened. */
  events = 0

  /** Whole milliseconds since the simulation's start. */
  get nowMs(): number {
    return this.#nowMs
  }

  /** Runs `run` in `ms` (rounded up to a whole one). Calling it off: `callOff`. */
  after(ms: number, run: () => void): Planned {
    const planned = { atMs: this.#nowMs + Math.max(0, Math.ceil(ms)), order: this.#order++, run }
    this.#queue.push(planned)
    return planned
  }

  callOff(planned: Planned): void {
    planned.run = undefined
  }

  /** Lets everything happen up to `untilMs`, that moment included. */
  async run(untilMs: number): Promise<void> {
    let moments = 0
    await settled()
    for (;;) {
      const first = this.#queue.peek()
      if (!first || first.atMs > untilMs) break
      this.#nowMs = first.atMs
      this.#moment()
      for (let step = 0; step < stepsAMoment; step++) await nextStep
      if (++moments % momentsATurn === 0) await settled()
    }
    this.#nowMs = untilMs
  }

  /** All that was planned for this moment; what follows from it in the same one comes after. */
  #moment(): void {
    for (let next = this.#queue.peek(); next && next.atMs <= this.#nowMs; ) {
      this.#queue.pop()
      const { run } = next
      if (run) {
        this.events += 1
        run()
      }
      next = this.#queue.peek()
    }
  }
}
