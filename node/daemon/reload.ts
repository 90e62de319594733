/** Settings that were read again while the node runs: what can change live does, the rest is named. */
import { isDeepStrictEqual } from 'node:util'
import type { BundleStore } from '../../protocol/chunk-store/index.ts'
import type { Logger } from '../../protocol/log/index.ts'
import type { Bandwidth } from '../bandwidth/index.ts'
import type { NodeConfig } from '../config.ts'

export type ReloadComponents = Readonly<{
  line: Pick<Bandwidth, 'apply'>
  chunks: Pick<BundleStore, 'setBudget'>
  logger: Logger
}>

/** Puts bandwidth and disk budget of `next` in force. `start`: what the node was started with. */
export function applySettings(
  { start, next }: { readonly start: NodeConfig; readonly next: NodeConfig },
  { line, chunks, logger }: ReloadComponents,
): void {
  line.apply(next.bandwidth)
  chunks.setBudget(next.chunks.budgetBytes).catch((error: unknown) => {
    logger.error({ error }, 'the disk budget could not be changed')
  })
  const { bandwidth: _b, chunks: _c, ...fixed } = start
  const names = Object.keys(fixed) as (keyof typeof fixed)[]
  const later = names.filter((name) => !isDeepStrictEqual(start[name], next[name]))
  if (later.length > 0) logger.warn({ later }, 'these settings take effect at the next start')
}
