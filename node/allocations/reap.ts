/** Takes away what the engine holds of this node's and no order accounts for. */
import type { InstanceId } from '../../protocol/ids.ts'
import type { Logger } from '../../protocol/log/index.ts'
import type { Engine } from '../engine/engine.ts'

/**
 * Removes containers of this node that no order accounts for, and images while nothing runs. What
 * is kept is asked after the engine has said what there is: nothing that began meanwhile is hit.
 */
export async function reap(
  engine: Engine,
  keptInstances: () => readonly InstanceId[],
  {
    isIdle,
    signal,
    logger,
  }: {
    readonly isIdle: () => boolean
    readonly signal: AbortSignal
    readonly logger: Logger
  },
): Promise<void> {
  const containers = await engine.list({ signal })
  for (const container of containers) {
    if (keptInstances().includes(container.instance)) continue
    logger.info({ container: container.id, slot: container.slot }, 'removing what has no order')
    await engine.remove(container.id, { signal, graceMs: 0 })
  }
  if (!isIdle()) return
  for (const image of await engine.images({ signal })) {
    if (isIdle()) await engine.removeImage(image, { signal })
  }
}
