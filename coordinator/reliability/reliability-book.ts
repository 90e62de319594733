/**
 * Keeps every node's history over restarts. Written each minute and at the end, in one batch: what a
 * crash loses is a minute of statistics. While the coordinator itself was away or waits for nodes to
 * return, nobody's absence is counted.
 */
import type { Clock } from '../../protocol/clock.ts'
import type { PeerId } from '../../protocol/ids.ts'
import type { Logger } from '../../protocol/log/index.ts'
import { collection, type Store } from '../../protocol/store/index.ts'
import {
  type NodeHistory,
  NodeHistorySchema,
  newHistory,
  observe,
  reliabilityOf,
} from './history.ts'

export interface ReliabilityBook {
  /** From 0 to 1; undefined: never seen. */
  of(node: PeerId): number | undefined
  /** The node came, left, or is as it was. */
  look(node: PeerId): void
  stop(): Promise<void>
}

export type ReliabilityBookComponents = Readonly<{
  store: Store
  /** Nodes that said hello since the start. */
  nodes: ReadonlyMap<PeerId, Readonly<{ isHere: boolean }>>
  /** Whether who is not here is away indeed. */
  isSettled: () => boolean
  /** Coordinator's time. */
  nowMs: () => number
  clock: Clock
  logger: Logger
}>

const writeMs = 60_000
/** Whom nobody has seen for so long is a stranger again. */
const forgetMs = 90 * 86_400_000

export async function openReliabilityBook(
  components: ReliabilityBookComponents,
): Promise<ReliabilityBook> {
  const { store, nodes, isSettled, nowMs, clock, logger } = components
  const records = collection(store, 'node-history', NodeHistorySchema)
  const histories = new Map<PeerId, NodeHistory>()
  const changed = new Set<PeerId>()
  const stopped = new AbortController()
  const startedMs = nowMs()
  for await (const [node, history] of records.entries()) {
    if (startedMs - history.atMs > forgetMs) await records.delete(node)
    // Nobody watched while the coordinator was away.
    else histories.set(node as PeerId, { ...history, up: false, atMs: startedMs })
  }

  const look = (node: PeerId): void => {
    if (stopped.signal.aborted) return
    const up = nodes.get(node)?.isHere ?? false
    const before = histories.get(node)
    if (!before && !up) return
    const isBlind = before !== undefined && !before.up && !isSettled()
    const now = nowMs()
    const next = !before
      ? newHistory(up, now)
      : isBlind
        ? { ...before, up, atMs: now }
        : observe(before, up, now)
    histories.set(node, next)
    changed.add(node)
  }
  const write = async (): Promise<void> => {
    const batch = [...changed].flatMap((node) => {
      const history = histories.get(node)
      return history ? [records.putOperation(node, history)] : []
    })
    changed.clear()
    await store.batch(batch)
  }
  const run = async (): Promise<void> => {
    const { signal } = stopped
    while (!signal.aborted) {
      await clock.sleep(writeMs, { signal }).catch(() => undefined)
      for (const node of nodes.keys()) look(node)
      await write().catch((error: unknown) => {
        logger.error({ error }, 'the history of nodes could not be written')
      })
    }
  }
  const running = run()
  return {
    of(node) {
      const history = histories.get(node)
      return history && reliabilityOf(history)
    },
    look,
    async stop() {
      for (const node of nodes.keys()) look(node)
      stopped.abort()
      await running
    },
  }
}
