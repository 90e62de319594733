import { expect } from 'chai'
import type { SeriesInit } from '../../protocol/metrics/series.ts'
import { defineNodeMetrics, type NodeMetricsComponents } from './node-metrics.ts'

type Found = Readonly<{ labels: Readonly<Record<string, string>>; value: number }>

describe('node/metrics', () => {
  const reports = [
    { state: 'running', bytesServed: 100 },
    { state: 'running', bytesServed: 20 },
    { state: 'downloading', bytesServed: 3 },
  ]
  const phases = { findingPeersMs: 100, descriptorMs: 50, chunksMs: 40_000, endgameMs: 500 }
  const made = new Map<string, SeriesInit>()
  const take = (init: SeriesInit): void => void made.set(init.name, init)
  defineNodeMetrics({ counter: take, gauge: take }, {
    peer: {},
    swarm: { stats: () => ({ phases }) },
    allocations: { docket: { reports: () => reports } },
    times: { sums: () => ({ unpack: { ms: 2_000, count: 2 }, start: { ms: 300, count: 1 } }) },
    version: '1.2.3',
    chef: () => 'alice',
  } as unknown as NodeMetricsComponents)
  /** Value by the first label's. */
  const read = async (name: string): Promise<Record<string, number>> =>
    Object.fromEntries(
      [...((await made.get(name)!.read()) as Iterable<Found>)].map(({ labels, value }) => [
        Object.values(labels)[0]!,
        value,
      ]),
    )

  it('tells where the time of starting an instance goes, in seconds', async () => {
    expect(await read('phase_seconds_total')).to.deep.equal({
      ...{ finding_peers: 0.1, descriptor: 0.05, chunks: 40, endgame: 0.5 },
      ...{ unpack: 2, start: 0.3 },
    })
    expect(await read('phases_total')).to.deep.equal({ unpack: 2, start: 1 })
  })

  it('tells what runs here, states that nothing is in too', async () => {
    expect(await read('instances')).to.deep.equal({
      ...{ accepted: 0, downloading: 1, creating: 0, running: 2, restarting: 0, stopping: 0 },
    })
    expect(await made.get('engine_served_bytes')?.read()).to.equal(123)
    expect(await read('node_info')).to.deep.equal({ '1.2.3': 1 })
    expect(await read('node_claimed')).to.deep.equal({ alice: 1 })
  })

  it('has what every peer tells: its mesh, its store, its swarm', () => {
    expect([...made.keys()]).to.include.members([
      ...['connections', 'relayed_bytes_total', 'coordinator_rtt_seconds'],
      ...['store_bytes', 'swarm_verified_bytes_total', 'swarm_duplicate_bytes_total'],
      ...['swarm_wasted_bytes_total', 'swarm_peer_download_bytes_per_second'],
    ])
  })
})
