/**
 * How many chunks are on their way out at once. Two: one alone idles while its receiver's downlink
 * is shared with another sender, more spread partial chunks over the street (swarm.md 2.3). But a
 * slot is for the uplink's sake: a send that lasts longer than the uplink needs waits for its
 * receiver, and holds none. Otherwise two slow homes would take up a cache of 1 Gbit/s.
 * A chunk that hardly anybody has goes alone where the line is free: who waits to pass it on has it in
 * half the time, and in a street that begins all wait for that.
 * State in, choice out; the caller sends, and says when it is done.
 */
import { wireBytes } from '../wire-bytes.ts'

const slotsDefault = 2
/** The next chunk is read from disk while one is on its way. */
const sendsPerRequesterMax = 2
/** Over all requesters: bounds what receivers that are slow can hold in memory. */
const sendsMax = 64
/** A chunk that takes the line no longer goes with others: the next is to be read meanwhile. */
const aloneMinMs = 10
/** A chunk that fewer others hold goes alone. */
const fewHolders = 4
/** Below it timers are no better; without a known rate a slot is held so long at most. */
const slotMinMs = 2
const slotMaxMs = 2_000

export type UploadSlotsInit = Readonly<{
  slots?: number
  /** The uplink's rate, measured or limited; undefined: not known. */
  uploadBytesPerS: () => number | undefined
}>

/** One chunk (or run) on its way. `R` names a requester. */
export type Send<R> = {
  readonly requester: R
  readonly startMs: number
  readonly untilMs: number
  readonly alone: boolean
}

/** The sends of one holder, over all swarms. */
export class UploadSlots<R> {
  readonly #slots: number
  readonly #uploadBytesPerS: () => number | undefined
  readonly #sends = new Set<Send<R>>()
  readonly #counts = new Map<R, number>()

  constructor({ slots = slotsDefault, uploadBytesPerS }: UploadSlotsInit) {
    this.#slots = slots
    this.#uploadBytesPerS = uploadBytesPerS
  }

  /** Whether one more may start now. */
  free(nowMs: number): boolean {
    if (this.#sends.size >= sendsMax) return false
    let used = 0
    for (const { untilMs, alone } of this.#sends) {
      if (untilMs > nowMs) used += alone ? this.#slots : 1
    }
    return used < this.#slots
  }

  /** How long until a slot is free, if no send ends before; undefined while none is used. */
  waitMs(nowMs: number): number | undefined {
    let firstMs: number | undefined
    for (const { untilMs } of this.#sends) {
      if (untilMs > nowMs) firstMs = Math.min(firstMs ?? untilMs, untilMs)
    }
    return firstMs === undefined ? undefined : firstMs - nowMs
  }

  mayServe(requester: R): boolean {
    return (this.#counts.get(requester) ?? 0) < sendsPerRequesterMax
  }

  /** @param holders how many others hold what is sent */
  start(requester: R, bytes: number, nowMs: number, holders = Number.POSITIVE_INFINITY): Send<R> {
    const rate = this.#uploadBytesPerS()
    // Beside another send it would not be there sooner, and three would share the line after it.
    const lineMs = rate ? (wireBytes(bytes) * 1000) / rate : undefined
    const isSlow = lineMs !== undefined && lineMs > aloneMinMs
    const alone = isSlow && holders < fewHolders && this.waitMs(nowMs) === undefined
    // All slots share the line. Any longer, and a cache whose receivers are slow starts too few: at
    // 1.25 of it a tenth of two caches' uplinks idled, and a hundred homes ended at 1.145 of the bound.
    const needMs = lineMs === undefined ? slotMaxMs : lineMs * (alone ? 1 : this.#slots)
    const untilMs = nowMs + Math.min(slotMaxMs, Math.max(slotMinMs, needMs))
    const send = { requester, startMs: nowMs, untilMs, alone }
    this.#sends.add(send)
    this.#counts.set(requester, (this.#counts.get(requester) ?? 0) + 1)
    return send
  }

  end(send: Send<R>): void {
    if (!this.#sends.delete(send)) return
    const left = (this.#counts.get(send.requester) ?? 1) - 1
    if (left === 0) this.#counts.delete(send.requester)
    else this.#counts.set(send.requester, left)
  }

  /** Sends that have lasted longer than `ms`. */
  olderThan(ms: number, nowMs: number): Send<R>[] {
    return [...this.#sends].filter(({ startMs }) => nowMs - startMs > ms)
  }
}
