/**
 * Images in the engine that nothing runs any more, kept a moment because a newer version of their
 * group is about to come: without it the engine would forget the layers that both share, and take
 * them all again. Whatever else ends takes its image along at once.
 */
import type { Clock } from '../../protocol/clock.ts'
import type { Fault } from '../../protocol/control/index.ts'
import type { Digest } from '../../protocol/ids.ts'
import type { Logger } from '../../protocol/log/index.ts'
import { newerVersionReason } from '../../protocol/orders/index.ts'
import type { Engine } from '../engine/engine.ts'

/** The next order comes within seconds; once its pull has begun, the engine holds the layers itself. */
const lingerMs = 30_000
const removeMs = 60_000

export interface LingeringImages {
  /** Keeps the image if its end was for a newer version. Returns whether it did. */
  keep(image: Digest, end: Fault | undefined): boolean
  has(image: Digest): boolean
  /** Removes those whose time is over and that nobody runs. Harmless to call often. */
  tick(isUsed: (image: Digest) => boolean): void
  /** Removes them all. */
  flush(): Promise<void>
}

/** Keeps none at first. */
export function createLingeringImages({
  engine,
  clock,
  logger,
}: {
  readonly engine: Pick<Engine, 'removeImage'>
  readonly clock: Clock
  readonly logger: Logger
}): LingeringImages {
  const untilMs = new Map<Digest, number>()
  const remove = async (image: Digest): Promise<void> => {
    untilMs.delete(image)
    try {
      await engine.removeImage(image, { signal: AbortSignal.timeout(removeMs) })
    } catch (error) {
      // The sweep of an idle node finds it again.
      logger.warn({ image, error }, 'an image that nothing runs could not be removed')
    }
  }
  return {
    keep(image, end) {
      if (end?.message !== newerVersionReason) return false
      untilMs.set(image, clock.nowMs() + lingerMs)
      return true
    },
    has: (image) => untilMs.has(image),
    tick(isUsed) {
      for (const [image, endMs] of untilMs) {
        if (isUsed(image)) untilMs.delete(image)
        else if (endMs <= clock.nowMs()) void remove(image)
      }
    },
    async flush() {
      await Promise.all([...untilMs.keys()].map(remove))
    },
  }
}
