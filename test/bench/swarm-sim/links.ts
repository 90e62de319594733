/**
 * A home's link. The uplink is shared equally by what is sent at once (as TCP does it over a
 * while); the downlink takes one chunk after the other, store and forward: a chunk's last byte has
 * left the sender before its first counts at the receiver. That is a little worse than a real link,
 * where both ends move at once.
 */
import type { Events } from './events.ts'

type Flow = { readonly endsAt: number; readonly done: () => void }

/** What several sends share equally. */
export class Uplink {
  readonly #events: Events
  readonly #bytesPerMs: number
  readonly #flows: Flow[] = []
  /** Bytes that each flow has been sent since the start: the fluid's own clock. */
  #served = 0
  #servedAtMs = 0
  #version = 0
  #busyMs = 0

  constructor(events: Events, bytesPerS: number) {
    this.#events = events
    this.#bytesPerMs = bytesPerS / 1000
  }

  get busyMs(): number {
    return this.#busyMs
  }

  send(bytes: number, done: () => void): void {
    this.#advance()
    this.#flows.push({ endsAt: this.#served + bytes, done })
    this.#plan()
  }

  #advance(): void {
    const { nowMs } = this.#events
    const passedMs = nowMs - this.#servedAtMs
    if (this.#flows.length > 0) {
      this.#served += (passedMs * this.#bytesPerMs) / this.#flows.length
      this.#busyMs += passedMs
    }
    this.#servedAtMs = nowMs
  }

  #plan(): void {
    const version = ++this.#version
    let first: Flow | undefined
    for (const flow of this.#flows) if (!first || flow.endsAt < first.endsAt) first = flow
    if (!first) return
    const next = first
    const leftMs = ((next.endsAt - this.#served) * this.#flows.length) / this.#bytesPerMs
    this.#events.after(Math.max(0, leftMs), () => {
      // Another flow came or went since: that made a plan of its own.
      if (version !== this.#version) return
      this.#advance()
      this.#flows.splice(this.#flows.indexOf(next), 1)
      this.#plan()
      next.done()
    })
  }
}

/** One chunk after the other. */
export class Downlink {
  readonly #events: Events
  readonly #bytesPerMs: number
  #freeAtMs = 0

  constructor(events: Events, bytesPerS: number) {
    this.#events = events
    this.#bytesPerMs = bytesPerS / 1000
  }

  /** @param taken the link is free of others' chunks: nothing holds up the sender any more */
  receive(bytes: number, taken: () => void, done: () => void): void {
    const { nowMs } = this.#events
    const waitMs = Math.max(0, this.#freeAtMs - nowMs)
    this.#freeAtMs = nowMs + waitMs + bytes / this.#bytesPerMs
    if (waitMs > 0) this.#events.after(waitMs, taken)
    else taken()
    this.#events.after(this.#freeAtMs - nowMs, done)
  }
}
