/**
 * Time as Potluck uses it: a clock that runs on while the machine sleeps and never jumps with the
 * wall clock. `performance.now()` may stop during suspend, and Date jumps; a lease survives neither
 * (Gray & Cheriton, "Leases", SOSP 1989, needs bounded drift), so nodes read the boot clock.
 */
import { openSync, readFileSync, readSync } from 'node:fs'
import { uptime } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'

export interface Clock {
  /** Milliseconds since an arbitrary start, never going back, running on during suspend. */
  nowMs(): number
  /** Resolves after `ms`. @throws the signal's reason when aborted. */
  sleep(ms: number, options?: { readonly signal?: AbortSignal }): Promise<void>
  /** Aborted after `ms`; keeps no process alive. The deadline of what is remote. */
  timeout(ms: number): AbortSignal
}

/** Stays open: a busy node asks for the time a thousand times a second, and opening takes longest. */
let uptimeFile: number | undefined
const uptimeText = Buffer.alloc(64)

/** Milliseconds since boot, suspend included: `/proc/uptime` on Linux, `os.uptime()` elsewhere. */
export function bootTimeMs(): number {
  if (process.platform !== 'linux') return uptime() * 1000
  uptimeFile ??= openSync('/proc/uptime', 'r')
  const length = readSync(uptimeFile, uptimeText, 0, uptimeText.length, 0)
  return Number.parseFloat(uptimeText.toString('latin1', 0, length)) * 1000
}

/** An id that changes at each boot of the machine, so that boot times of two boots never mix. */
export function bootId(): string {
  if (process.platform !== 'linux') return `uptime-${Math.round(Date.now() / 1000 - uptime())}`
  return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
}

/** The machine's boot clock. */
export const systemClock: Clock = {
  nowMs: bootTimeMs,
  sleep: (ms, { signal } = {}) => sleep(ms, undefined, signal ? { signal } : {}),
  timeout: (ms) => AbortSignal.timeout(ms),
}

type Sleeper = Readonly<{ atMs: number; wake: () => void }>

/** A clock that moves only when told to; for unit tests and the simulator. */
export class FakeClock implements Clock {
  #nowMs: number
  #sleepers: Sleeper[] = []

  constructor(startMs = 0) {
    this.#nowMs = startMs
  }

  nowMs(): number {
    return this.#nowMs
  }

  sleep(ms: number, { signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    signal?.throwIfAborted()
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const stop = (): void => reject(signal?.reason)
    signal?.addEventListener('abort', stop, { once: true })
    const wake = (): void => {
      signal?.removeEventListener('abort', stop)
      resolve()
    }
    this.#sleepers.push({ atMs: this.#nowMs + ms, wake })
    return promise
  }

  timeout(ms: number): AbortSignal {
    const late = new AbortController()
    void this.sleep(ms).then(() => late.abort(new DOMException(`${ms} ms`, 'TimeoutError')))
    return late.signal
  }

  /** Moves time on by `ms`, waking sleepers in order; each runs before the next is woken. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms
    for (;;) {
      const next = this.#sleepers.reduce<Sleeper | undefined>(
        (first, sleeper) => (first && first.atMs <= sleeper.atMs ? first : sleeper),
        undefined,
      )
      if (!next || next.atMs > endMs) break
      this.#sleepers = this.#sleepers.filter((sleeper) => sleeper !== next)
      this.#nowMs = Math.max(this.#nowMs, next.atMs)
      next.wake()
      await new Promise((resolve) => setImmediate(resolve))
    }
    this.#nowMs = endMs
    await new Promise((resolve) => setImmediate(resolve))
  }
}
