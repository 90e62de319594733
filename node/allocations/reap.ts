/**
 * Takes away what the engine holds of this node's and no order accounts for: containers at once,
 * images when nothing runs them. What is kept is asked after the engine has said what there is, so
 * that nothing that began meanwhile is hit.
 */
import type { Clock } from '../../protocol/clock.ts'
import type { Fault } from '../../protocol/control/index.ts'
import type { Digest, SlotId } from '../../protocol/ids.ts'
import type { Logger } from '../../protocol/log/index.ts'
import type { Engine } from '../engine/engine.ts'
import type { Docket } from './docket.ts'
import { createLingeringImages } from './lingering-images.ts'

export interface Reaper {
  /** Whether the image stays in the engine after this end of the slot's instance. */
  keepsImage(slot: SlotId, image: Digest, end: Fault | undefined): boolean
  /** Removes images whose time is over. Call it each second. */
  tick(): void
  /** Removes containers of this node that no order accounts for, and images while nothing runs. */
  sweep(options: { readonly signal: AbortSignal }): Promise<void>
  /** Removes the images that are only kept for a while. */
  flush(): Promise<void>
}

/** @param isTaking whether an order is being taken: an image may be one that it pulls */
export function createReaper(
  { docket, isTaking }: { readonly docket: Docket; readonly isTaking: () => boolean },
  components: { readonly engine: Engine; readonly clock: Clock; readonly logger: Logger },
): Reaper {
  const { engine, logger } = components
  const lingering = createLingeringImages(components)
  const isIdle = (): boolean => docket.size === 0 && !isTaking()
  return {
    keepsImage: (slot, image, end) => docket.runsImage(image, slot) || lingering.keep(image, end),
    tick: () => lingering.tick((image) => docket.runsImage(image)),
    flush: () => lingering.flush(),
    async sweep({ signal }) {
      for (const container of await engine.list({ signal })) {
        const { id, slot, instance } = container
        if (docket.entries().some(({ order }) => order.instance === instance)) continue
        logger.info({ container: id, slot }, 'removing what has no order')
        await engine.remove(id, { signal, graceMs: 0 })
      }
      if (!isIdle()) return
      for (const image of await engine.images({ signal })) {
        if (isIdle() && !lingering.has(image)) await engine.removeImage(image, { signal })
      }
    },
  }
}
