/**
 * Which other public networks have answered, and when: the proof that the own line is up. Seen by
 * the address of the connection, never by what a peer says of itself.
 */
import { LRUCache } from 'lru-cache'

export interface Witnesses {
  /** A peer that is connected from or at `addr` has answered. */
  heard(addr: string, nowMs: number): void
  /** Networks that answered after `sinceMs`, and the last time that one did. */
  since(sinceMs: number): Readonly<{ witnesses: number; lastWitnessMs?: number }>
}

const networksMax = 256

export function createWitnesses({
  networkOf,
  ownNetwork,
}: Readonly<{
  /** Undefined for what may be on the same side of the line. */
  networkOf: (addr: string) => string | undefined
  /** As the coordinator saw it last. */
  ownNetwork: () => string | undefined
}>): Witnesses {
  const heardMs = new LRUCache<string, number>({ max: networksMax })
  return {
    heard(addr, nowMs) {
      const network = networkOf(addr)
      if (network !== undefined && network !== ownNetwork()) heardMs.set(network, nowMs)
    },
    since(sinceMs) {
      const later = [...heardMs.values()].filter((atMs) => atMs > sinceMs)
      if (later.length === 0) return { witnesses: 0 }
      return { witnesses: later.length, lastWitnessMs: Math.max(...later) }
    },
  }
}
