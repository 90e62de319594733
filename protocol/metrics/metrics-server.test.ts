import { once } from 'node:events'
import { request } from 'node:http'
import { createServer } from 'node:net'
import { text } from 'node:stream/consumers'
import { expect } from 'chai'
import { silentLogger } from '../log/index.ts'
import { parseExposition } from './exposition.fixture.ts'
import { type MetricsServer, startMetricsServer } from './metrics-server.ts'
import type { Series } from './series.ts'

const settings = { enabled: true, host: '127.0.0.1', port: 0, names: [] }

describe('metrics/server', () => {
  let server: MetricsServer | undefined
  const start = async (define: (series: Series) => void, more: Partial<typeof settings> = {}) => {
    server = await startMetricsServer({ ...settings, ...more }, { define, logger: silentLogger })
    return server?.url ?? ''
  }
  const ask = async (url: string, method = 'GET', headers: Record<string, string> = {}) => {
    const asked = request(url, { method, headers, agent: false }).end()
    const [answer] = await once(asked, 'response')
    return {
      status: answer.statusCode as number,
      headers: answer.headers,
      body: await text(answer),
    }
  }
  afterEach(() => server?.stop())

  it('tells what is true now, in the format that Prometheus reads', async () => {
    let bytes = 7
    let rttS: number | undefined
    const url = await start((series) => {
      series.counter({ name: 'sent_bytes_total', help: 'Sent.', read: () => bytes })
      series.gauge({ name: 'rtt_seconds', help: 'Round trip.', read: async () => rttS })
      series.gauge({
        name: 'peers',
        help: 'A "name" with\\quotes.',
        labels: ['name'],
        read: () => [
          { labels: { name: 'a"b\\c' }, value: 1 },
          { labels: { name: 'gone' }, value: undefined },
        ],
      })
    })
    const first = await ask(url)
    expect(first.headers['content-type']).to.match(/^text\/plain; version=0\.0\.4/)
    const before = parseExposition(first.body)
    expect(before.get('potluck_sent_bytes_total')).to.deep.include({
      type: 'counter',
      help: 'Sent.',
    })
    expect(before.get('potluck_sent_bytes_total')?.samples).to.deep.equal([
      { labels: {}, value: 7 },
    ])
    expect(before.get('potluck_rtt_seconds')?.samples).to.deep.equal([])
    expect(before.get('potluck_peers')?.samples).to.deep.equal([
      { labels: { name: 'a\\"b\\\\c' }, value: 1 },
    ])
    expect(before.get('process_resident_memory_bytes')?.samples[0]?.value).to.be.above(1e6)
    expect([...before.keys()]).to.include('nodejs_eventloop_lag_seconds')
    ;[bytes, rttS] = [9, 0.02]
    const after = parseExposition((await ask(url)).body)
    expect(after.get('potluck_sent_bytes_total')?.samples[0]?.value).to.equal(9)
    expect(after.get('potluck_rtt_seconds')?.samples[0]?.value).to.equal(0.02)
  })

  it('is read by nobody who came by another name, and takes no orders', async () => {
    let reads = 0
    const url = await start((series) => {
      series.gauge({ name: 'reads', help: 'Reads.', read: () => ++reads })
    })
    const foreign = await ask(url, 'GET', { host: 'evil.example' })
    expect(foreign.status).to.equal(421)
    expect(foreign.body).to.not.contain('potluck_')
    expect((await ask(url.replace('/metrics', '/'))).status).to.equal(404)
    expect((await ask(url, 'POST')).status).to.equal(405)
    expect(reads).to.equal(0)
    expect((await ask(url, 'HEAD')).body).to.equal('')
    expect((await ask(url, 'GET', { host: 'localhost' })).status).to.equal(200)
  })

  it('leaves the process alone when its port is taken, or it is not wanted', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    const { port } = other.address() as { port: number }
    expect(await start(() => undefined, { port })).to.equal('')
    other.close()
    expect(await start(() => undefined, { enabled: false })).to.equal('')
  })
})
