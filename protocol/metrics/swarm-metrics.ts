/** What the swarm moved, what of it was wasted, and with whom. */
import type { BytesByKind, Swarm, SwarmLimits } from '../swarm/index.ts'
import { busiest } from './busiest.ts'
import type { Series } from './series.ts'

/** Those with the most bytes; the rest is in the sums. */
const peersMax = 20

export type SwarmMetricsComponents = Readonly<{
  swarm: Pick<Swarm, 'stats'>
  /** In force now; absent where there is no limit. */
  limits: () => SwarmLimits
}>

/** Bytes by direction, kind and peer; waste; limits. */
export function defineSwarmMetrics(series: Series, components: SwarmMetricsComponents): void {
  const { swarm, limits } = components
  for (const { direction, field, sums, help } of directions) {
    series.counter({
      name: `swarm_${direction}_bytes_total`,
      help,
      labels: ['kind'],
      read: () => byKind(swarm.stats()[sums]),
    })
    series.counter({
      name: `swarm_peer_${direction}_bytes_total`,
      help: `The same by peer: the ${peersMax} with the most.`,
      labels: ['peer'],
      read() {
        const amounts = [...swarm.stats().peers].map(([peer, it]) => [peer, it[field]] as const)
        return busiest(amounts, peersMax).map(([peer, value]) => ({ labels: { peer }, value }))
      },
    })
  }
  for (const [direction, field] of [
    ['upload', 'uploadBytesPerS'],
    ['download', 'downloadBytesPerS'],
  ] as const) {
    series.gauge({
      name: `swarm_peer_${direction}_bytes_per_second`,
      help: `Rate of the last seconds, by peer: the ${peersMax} fastest.`,
      labels: ['peer'],
      read() {
        const rates = [...swarm.stats().peers].map(([peer, it]) => [peer, it[field]] as const)
        return busiest(rates, peersMax).map(([peer, value]) => ({ labels: { peer }, value }))
      },
    })
  }
  series.counter({
    name: 'swarm_verified_bytes_total',
    help: 'Chunks that were verified and kept, by who sent them.',
    labels: ['kind'],
    read: () => byKind(swarm.stats().verifiedBytes),
  })
  series.counter({
    name: 'swarm_wasted_bytes_total',
    help: 'Chunks that were not what the descriptor names, or came when nobody wanted them.',
    labels: ['reason'],
    read() {
      const { wrongBytes, discardedBytes } = swarm.stats()
      return [
        { labels: { reason: 'wrong' }, value: wrongBytes },
        { labels: { reason: 'discarded' }, value: discardedBytes },
      ]
    },
  })
  series.counter({
    name: 'swarm_duplicate_bytes_total',
    help: 'Of those: chunks that were here already.',
    read: () => swarm.stats().duplicateBytes,
  })
  series.counter({
    name: 'swarm_wrong_chunks_total',
    help: 'Chunks that were not what the descriptor names.',
    read: () => swarm.stats().wrongChunks,
  })
  series.counter({
    name: 'swarm_stalls_total',
    help: 'Senders that were left because they fell silent.',
    read: () => swarm.stats().stalls,
  })
  series.gauge({
    name: 'swarm_limit_bytes_per_second',
    help: 'Limits in force; absent where there is none.',
    labels: ['direction'],
    read() {
      const { uploadBytesPerS, downloadBytesPerS } = limits()
      return [
        { labels: { direction: 'upload' }, value: uploadBytesPerS },
        { labels: { direction: 'download' }, value: downloadBytesPerS },
      ]
    },
  })
}

function byKind(sums: BytesByKind) {
  return Object.entries(sums).map(([kind, value]) => ({ labels: { kind }, value }))
}

const directions = [
  {
    direction: 'uploaded',
    field: 'uploadedBytes',
    sums: 'uploadedTo',
    help: 'Chunks sent, by who got them.',
  },
  {
    direction: 'downloaded',
    field: 'downloadedBytes',
    sums: 'downloadedFrom',
    help: 'Chunks as they came, by who sent them; useless ones too.',
  },
] as const
