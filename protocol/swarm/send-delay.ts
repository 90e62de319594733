/**
 * Tells from when chunks come to their receivers how long they wait on their way out of this home:
 * in the kernel, in the modem. There they can no longer be taken back, and all else that we say
 * (what we ask for, what we have, that a chunk is let go) waits behind them. A limit alone does not
 * prevent it: at the line's own rate, which also carries acknowledgements and gossip, the queue
 * grows for as long as there is work. Measured at 2 Mbit/s: 1.4 s of it.
 *
 * A chunk's delay counts beyond the least that one to the same receiver had of late, and the least
 * of all receivers counts: they share our line, and nothing else. What was measured before we slowed
 * down says nothing of how it is since. Source of the idea: LEDBAT (RFC 6817).
 */
import { type BaseDelay, createBaseDelay } from '../base-delay.ts'

/** So long may chunks wait; RFC 6817's bound. */
const targetMs = 100
/** Chunks to several receivers come in it, or to some one twice. */
const windowMs = 500
/** Slowing down by more waits for another look. */
const excessMaxMs = 1_000
/**
 * RFC 6817's BASE_HISTORY. A line that has become slower to all sends too little for so long; a
 * queue that never empties in all this time is taken for the line.
 */
const baseMinutes = 10

/** A chunk came: when it was sent, and how long it took. */
export type Arrival = Readonly<{ sentMs: number; delayMs: number }>

/** The delay of one line's chunks, over all receivers. `R` names a receiver. */
export class SendDelay<R extends WeakKey> {
  /** Of each receiver's chunks. */
  readonly #bases = new WeakMap<R, BaseDelay>()
  #sinceMs = Number.NEGATIVE_INFINITY
  #window: { untilMs: number; waitMs: number } | undefined

  /**
   * Takes an arrival into account.
   * @returns for how long nothing should be sent, in ms: what waits too much goes meanwhile.
   */
  arrived(receiver: R, { sentMs, delayMs }: Arrival, nowMs: number): number {
    const base = this.#baseOf(receiver)
    const least = base.ms(nowMs)
    base.add(delayMs, nowMs)
    if (least === undefined || sentMs < this.#sinceMs) return 0
    const waitMs = Math.max(0, delayMs - least)
    this.#window ??= { untilMs: nowMs + windowMs, waitMs }
    this.#window.waitMs = Math.min(this.#window.waitMs, waitMs)
    if (nowMs < this.#window.untilMs) return 0
    const excessMs = this.#window.waitMs - targetMs
    this.#window = undefined
    if (excessMs <= 0) return 0
    this.#sinceMs = nowMs
    return Math.min(excessMaxMs, excessMs)
  }

  #baseOf(receiver: R): BaseDelay {
    const known = this.#bases.get(receiver)
    if (known) return known
    const base = createBaseDelay(baseMinutes)
    this.#bases.set(receiver, base)
    return base
  }
}
