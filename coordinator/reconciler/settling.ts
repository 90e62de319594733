/**
 * Whether the coordinator knows enough to replace what is silent. After a restart every node that
 * has allocations is silent until it has dialled again; who replaced them at once would start a
 * thousand containers too many. So nothing silent is replaced for a reconnect window, and every
 * lease counts from its end. The window ends early when all those nodes are back: then there is
 * nobody left to wait for. (Orders that a restored store does not know come with a new term, where
 * `waitAll` holds the window open for its whole length.)
 */
import type { PeerId } from '../../protocol/ids.ts'

export interface Settling {
  readonly settled: boolean
  /** When the window ends, or ended; leases that are not known since the start count from here. */
  readonly endMs: number
  /** Nodes with allocations that have not been seen since the start. */
  readonly missing: ReadonlySet<PeerId>
  /** Looks again. */
  update(nowMs: number, connected: (node: PeerId) => boolean): void
}

/** TCP, Noise, yamux and identify, both ends together, on loopback; until it is measured here. */
export const usualHandshakeMs = 8
const windowMinMs = 60_000

export type SettlingInit = Readonly<{
  startedMs: number
  /** Nodes with allocations in the store. */
  expected: ReadonlySet<PeerId>
  /** Nodes there were, with and without allocations, and what it costs to greet one. */
  crowd?: Readonly<{ nodes: number; handshakeMs: number }>
  /** Instead of max(60 s, 2 × nodes × handshake). */
  windowMs?: number | undefined
  /** After a restore: what the store does not know may come at any time. */
  waitAll?: boolean
  onSettled?: () => void
}>

export function createSettling(init: SettlingInit): Settling {
  const { startedMs, expected, windowMs, waitAll } = init
  const { nodes = 0, handshakeMs = usualHandshakeMs } = init.crowd ?? {}
  const known = Math.max(expected.size, nodes)
  const lengthMs = windowMs ?? Math.max(windowMinMs, 2 * known * handshakeMs)
  let settled = expected.size === 0 && !waitAll
  let endMs = settled ? startedMs : startedMs + lengthMs
  const missing = new Set(expected)
  return {
    get settled() {
      return settled
    },
    get endMs() {
      return endMs
    },
    missing,
    update(nowMs, connected) {
      if (settled) return
      for (const node of missing) if (connected(node)) missing.delete(node)
      if (nowMs < endMs && (missing.size > 0 || waitAll)) return
      settled = true
      endMs = Math.min(endMs, nowMs)
      init.onSettled?.()
    },
  }
}
