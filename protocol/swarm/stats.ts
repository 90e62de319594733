/** What the swarm counts: by peer for the chef's page and for reputation, in sum for tests. */
import { LRUCache } from 'lru-cache'
import type { PeerId } from '../ids.ts'

/** Peers whose bytes are remembered; beyond, the longest silent is forgotten (sums are not). */
const peersMax = 4096

export type PeerTraffic = { uploadedBytes: number; downloadedBytes: number }

/** Counters of bytes and faults, by peer. */
export class SwarmStats {
  readonly #peers = new LRUCache<PeerId, PeerTraffic>({ max: peersMax })
  uploadedBytes = 0
  /** Bodies as they came, duplicates and wrong ones included. */
  downloadedBytes = 0
  duplicateBytes = 0
  wrongChunks = 0
  /** Senders that were left for being silent. */
  stalls = 0
  /** Chunks that came and are not yet written: a gauge. */
  writingBytes = 0

  sent(peer: PeerId, bytes: number): void {
    this.uploadedBytes += bytes
    this.#of(peer).uploadedBytes += bytes
  }

  received(peer: PeerId, bytes: number): void {
    this.downloadedBytes += bytes
    this.#of(peer).downloadedBytes += bytes
  }

  peers(): Map<PeerId, Readonly<PeerTraffic>> {
    return new Map([...this.#peers.entries()].map(([peer, traffic]) => [peer, { ...traffic }]))
  }

  #of(peer: PeerId): PeerTraffic {
    let traffic = this.#peers.get(peer)
    if (!traffic) {
      traffic = { uploadedBytes: 0, downloadedBytes: 0 }
      this.#peers.set(peer, traffic)
    }
    return traffic
  }
}
