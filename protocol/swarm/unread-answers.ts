/**
 * Small answers that a peer has not taken from its stream, bounded: what makes them waits until it
 * has, and who does not read at all is cut off.
 */
import type { Clock } from '../clock.ts'
import { TooManyRequestsError } from './errors.ts'

const unreadMax = 64
/** From half of them on the peer's next asks wait: many come in one read. */
const crowdedFrom = unreadMax / 2
/** Who reads takes the half sooner than this. */
const takesMs = 2_000

/** The unread answers of one stream. */
export class UnreadAnswers {
  readonly #clock: Clock
  #count = 0
  #onTaken: (() => void) | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get crowded(): boolean {
    return this.#count >= crowdedFrom
  }

  /** Counts an answer until the stream took it. */
  async send(write: () => Promise<void>): Promise<void> {
    this.#count += 1
    try {
      await write()
    } finally {
      this.#count -= 1
      this.#onTaken?.()
    }
  }

  /** @throws {TooManyRequestsError} one more would be too many */
  expectRoom(): void {
    if (this.#count >= unreadMax) throw new TooManyRequestsError('unread answers', unreadMax)
  }

  /** Until fewer than half wait. @throws {TooManyRequestsError} the peer does not read */
  async taken(signal: AbortSignal): Promise<void> {
    const enough = new AbortController()
    this.#onTaken = () => {
      if (!this.crowded) enough.abort()
    }
    const full = await this.#clock
      .sleep(takesMs, { signal: AbortSignal.any([signal, enough.signal]) })
      .then(() => true)
      .catch(() => false)
    signal.throwIfAborted()
    if (full) throw new TooManyRequestsError('unread answers', this.#count)
  }
}
