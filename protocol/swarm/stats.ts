/**
 * What the swarm counts: by peer for the chef's page and for reputation, in sum for metrics. Only
 * counters and rates; what they mean for anybody is decided elsewhere.
 */
import { LRUCache } from 'lru-cache'
import type { PeerId } from '../ids.ts'
import { noPhases, type PhaseTimes } from './phases.ts'
import { createRateMeter, type RateMeter } from './rate-meter.ts'

/** Peers whose bytes are remembered; beyond, the longest silent is forgotten (sums are not). */
const peersMax = 4096

export type PeerTraffic = Readonly<{
  uploadedBytes: number
  downloadedBytes: number
  /** Of the last seconds. */
  uploadBytesPerS: number
  downloadBytesPerS: number
}>

/** Bytes by who is at the other end. */
export type BytesByKind = Readonly<{ cache: number; peer: number }>

export type SwarmReport = Readonly<{
  uploadedBytes: number
  /** Bodies as they came, duplicates and wrong ones included. */
  downloadedBytes: number
  /** The same, also of peers that are forgotten. */
  uploadedTo: BytesByKind
  downloadedFrom: BytesByKind
  /** Chunks that were verified and kept, by who sent them. */
  verifiedBytes: BytesByKind
  duplicateBytes: number
  /** Bytes that were not the named chunk. */
  wrongBytes: number
  wrongChunks: number
  /** Good or not, they came when nobody wanted them any more, or could not be written. */
  discardedBytes: number
  /** Senders that were left for being silent. */
  stalls: number
  /** Chunks that came and are not yet written: a gauge. */
  writingBytes: number
  /** Time of downloads in each phase, over all that have ended. */
  phases: PhaseTimes
  peers: ReadonlyMap<PeerId, PeerTraffic>
}>

type Counted = { uploadedBytes: number; downloadedBytes: number; up: RateMeter; down: RateMeter }

export type SwarmStatsComponents = Readonly<{
  nowMs: () => number
  /** Which of the peers are caches. */
  isCache: (peer: PeerId) => boolean
}>

/** Counters of bytes and faults. */
export class SwarmStats {
  readonly #with: SwarmStatsComponents
  readonly #peers = new LRUCache<PeerId, Counted>({ max: peersMax })
  readonly #verified = { cache: 0, peer: 0 }
  readonly #uploadedTo = { cache: 0, peer: 0 }
  readonly #downloadedFrom = { cache: 0, peer: 0 }
  #phases: PhaseTimes = noPhases
  duplicateBytes = 0
  wrongBytes = 0
  wrongChunks = 0
  discardedBytes = 0
  stalls = 0
  writingBytes = 0

  constructor(components: SwarmStatsComponents) {
    this.#with = components
  }

  sent(peer: PeerId, bytes: number): void {
    const traffic = this.#of(peer)
    this.#uploadedTo[this.#kindOf(peer)] += bytes
    traffic.uploadedBytes += bytes
    traffic.up.add(bytes, this.#with.nowMs())
  }

  received(peer: PeerId, bytes: number): void {
    const traffic = this.#of(peer)
    this.#downloadedFrom[this.#kindOf(peer)] += bytes
    traffic.downloadedBytes += bytes
    traffic.down.add(bytes, this.#with.nowMs())
  }

  /** A chunk was verified and kept. */
  verified(peer: PeerId, bytes: number): void {
    this.#verified[this.#kindOf(peer)] += bytes
  }

  /** A download has ended. */
  spent(times: PhaseTimes): void {
    const { findingPeersMs, descriptorMs, chunksMs, endgameMs } = this.#phases
    this.#phases = {
      findingPeersMs: findingPeersMs + times.findingPeersMs,
      descriptorMs: descriptorMs + times.descriptorMs,
      chunksMs: chunksMs + times.chunksMs,
      endgameMs: endgameMs + times.endgameMs,
    }
  }

  report(): SwarmReport {
    const nowMs = this.#with.nowMs()
    const peers = [...this.#peers.entries()].map(([peer, { up, down, ...bytes }]) => {
      const rates = {
        uploadBytesPerS: up.bytesPerS(nowMs),
        downloadBytesPerS: down.bytesPerS(nowMs),
      }
      return [peer, { ...bytes, ...rates }] as const
    })
    return {
      uploadedBytes: this.#uploadedTo.cache + this.#uploadedTo.peer,
      downloadedBytes: this.#downloadedFrom.cache + this.#downloadedFrom.peer,
      uploadedTo: { ...this.#uploadedTo },
      downloadedFrom: { ...this.#downloadedFrom },
      verifiedBytes: { ...this.#verified },
      duplicateBytes: this.duplicateBytes,
      wrongBytes: this.wrongBytes,
      wrongChunks: this.wrongChunks,
      discardedBytes: this.discardedBytes,
      stalls: this.stalls,
      writingBytes: this.writingBytes,
      phases: this.#phases,
      peers: new Map(peers),
    }
  }

  #kindOf(peer: PeerId): keyof BytesByKind {
    return this.#with.isCache(peer) ? 'cache' : 'peer'
  }

  #of(peer: PeerId): Counted {
    let traffic = this.#peers.get(peer)
    if (!traffic) {
      const [up, down] = [createRateMeter(), createRateMeter()]
      traffic = { uploadedBytes: 0, downloadedBytes: 0, up, down }
      this.#peers.set(peer, traffic)
    }
    return traffic
  }
}
