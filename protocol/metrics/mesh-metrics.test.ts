import { expect } from 'chai'
import type { Mesh } from '../mesh/index.ts'
import { defineMeshMetrics } from './mesh-metrics.ts'
import type { SeriesInit } from './series.ts'

type Found = Readonly<{ labels: Readonly<Record<string, string>>; value: number }>

describe('metrics/mesh', () => {
  const [dialled, punched] = [
    { direction: 'outbound', streams: [] },
    { direction: 'outbound', streams: [] },
  ]
  const relayed = { direction: 'inbound', streams: [], limits: { bytes: 5n } }
  const mesh = {
    getConnections: () => [dialled, punched, relayed],
    services: { relay: { relayedBytes: 700 } },
  } as unknown as Mesh
  const made = new Map<string, SeriesInit>()
  const take = (init: SeriesInit): void => void made.set(init.name, init)
  defineMeshMetrics(
    { counter: take, gauge: take },
    {
      mesh,
      reach: {
        isPunched: (connection) => connection === (punched as unknown),
        punches: { punched: 1, failed: 2 },
        relayedBytes: 30,
      },
      coordinator: () => undefined,
    },
  )
  const read = async (name: string): Promise<readonly Found[]> => [
    ...((await made.get(name)!.read()) as Iterable<Found>),
  ]

  it('tells by which path each connection came, those that nobody has too', async () => {
    const found = await read('connections')
    expect(found).to.have.length(6)
    expect(found.filter(({ value }) => value > 0)).to.deep.equal([
      { labels: { direction: 'inbound', path: 'relayed' }, value: 1 },
      { labels: { direction: 'outbound', path: 'direct' }, value: 1 },
      { labels: { direction: 'outbound', path: 'punched' }, value: 1 },
    ])
  })

  it('tells holes punched and not, and what relays carried', async () => {
    expect(await read('punches_total')).to.deep.equal([
      { labels: { result: 'punched' }, value: 1 },
      { labels: { result: 'failed' }, value: 2 },
    ])
    expect(await read('relayed_bytes_total')).to.deep.equal([
      { labels: { role: 'relay' }, value: 700 },
      { labels: { role: 'end' }, value: 30 },
    ])
  })
})
