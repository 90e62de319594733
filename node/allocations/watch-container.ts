/**
 * A running container until it ends: by itself, or because it wrote more than it may. Most engines
 * have no exact quota, so what was written is measured (swarm.md 5).
 */
import type { Clock } from '../../protocol/clock.ts'
import type { Fault } from '../../protocol/control/index.ts'
import type { Logger } from '../../protocol/log/index.ts'
import type { Engine } from '../engine/engine.ts'

/** How often what a container wrote is measured. */
const usageMs = 5_000

export type ContainerEnd = { readonly exitCode: number } | { readonly fault: Fault }

/** Resolves when the container exits, or has written more than it may. @throws signal's reason. */
export async function watchContainer(
  watched: { readonly id: string; readonly storageBytes: number; readonly signal: AbortSignal },
  components: { readonly engine: Engine; readonly clock: Clock; readonly logger: Logger },
): Promise<ContainerEnd> {
  const { engine } = components
  const over = new AbortController()
  const signal = AbortSignal.any([watched.signal, over.signal])
  const measured = measure({ ...watched, signal }, components)
  measured.catch(() => undefined) // it loses the race when the container exits first
  try {
    return await Promise.race([engine.waitExit(watched.id, { signal }), measured])
  } finally {
    over.abort(new Error('the container ended'))
  }
}

async function measure(
  { id, storageBytes, signal }: Parameters<typeof watchContainer>[0],
  { engine, clock, logger }: Parameters<typeof watchContainer>[1],
): Promise<{ fault: Fault }> {
  for (;;) {
    await clock.sleep(usageMs, { signal })
    const usage = await engine.usage(id, { signal }).catch((error: unknown) => {
      signal.throwIfAborted()
      logger.warn({ error }, 'could not measure what the container wrote')
      return undefined
    })
    if (usage && usage.storageBytes > storageBytes) {
      const message = `Requested Disk Space Exceeded: ${usage.storageBytes} bytes written`
      return { fault: { code: 'STORAGE_EXCEEDED', message } }
    }
  }
}
