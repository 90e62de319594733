/** The simulator's clock: what happens at which moment, in order. Time jumps from one to the next. */
import TinyQueue from 'tinyqueue'

type Event = { readonly atMs: number; readonly order: number; readonly run: () => void }

export class Events {
  readonly #queue = new TinyQueue<Event>([], (a, b) => a.atMs - b.atMs || a.order - b.order)
  #nowMs = 0
  #order = 0

  get nowMs(): number {
    return this.#nowMs
  }

  /** Runs `run` so many ms from now; of the same moment, in the order of asking. */
  after(ms: number, run: () => void): void {
    this.#queue.push({ atMs: this.#nowMs + ms, order: this.#order++, run })
  }

  /** Runs the next event. Returns whether there was one. */
  step(): boolean {
    const event = this.#queue.pop()
    if (!event) return false
    this.#nowMs = event.atMs
    event.run()
    return true
  }
}
