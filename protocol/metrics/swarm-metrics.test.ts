import { expect } from 'chai'
import type { PeerId } from '../ids.ts'
import type { Swarm } from '../swarm/index.ts'
import type { SeriesInit } from './series.ts'
import { defineSwarmMetrics } from './swarm-metrics.ts'

const peer = (number: number): PeerId => `peer${number}` as PeerId

describe('metrics/swarm', () => {
  const define = (stats: Partial<ReturnType<Swarm['stats']>>): Map<string, SeriesInit> => {
    const made = new Map<string, SeriesInit>()
    const take = (init: SeriesInit): void => void made.set(init.name, init)
    defineSwarmMetrics(
      { counter: take, gauge: take },
      {
        swarm: { stats: () => stats as ReturnType<Swarm['stats']> },
        limits: () => ({ uploadBytesPerS: 1_000 }),
      },
    )
    return made
  }

  it('tells caches from peers, and names the busiest twenty of a thousand', async () => {
    const peers = new Map(
      Array.from({ length: 1_000 }, (_, number) => [
        peer(number),
        { uploadedBytes: number, downloadedBytes: 2, uploadBytesPerS: 0, downloadBytesPerS: 0 },
      ]),
    )
    const made = define({ peers, downloadedFrom: { cache: 2, peer: 1_998 } })
    const read = async (name: string) => [...((await made.get(name)!.read()) as Iterable<unknown>)]
    expect(await read('swarm_downloaded_bytes_total')).to.deep.equal([
      { labels: { kind: 'cache' }, value: 2 },
      { labels: { kind: 'peer' }, value: 1_998 },
    ])
    const named = await read('swarm_peer_uploaded_bytes_total')
    expect(named).to.have.length(20)
    expect(named[0]).to.deep.equal({ labels: { peer: 'peer999' }, value: 999 })
  })

  it('tells a limit only where there is one', async () => {
    const limits = await define({}).get('swarm_limit_bytes_per_second')?.read()
    expect(limits).to.deep.equal([
      { labels: { direction: 'upload' }, value: 1_000 },
      { labels: { direction: 'download' }, value: undefined },
    ])
  })
})
