/** Each blob is read once, whoever asks for it and however many; and only while somebody does. */
import { randomBytes } from 'node:crypto'
import { expect } from 'chai'
import { errorCode } from '../../protocol/errors.ts'
import { sendBlob } from '../oci/fake-registry.ts'
import { failure } from '../oci/image-source.conformance.ts'
import { createCredentials, digestOf } from '../oci/index.ts'
import { type IngestBench, openIngestBench } from './ingest.fixture.ts'

const { signal } = new AbortController()

describe('ingest, asked by many', function () {
  this.timeout(20_000)
  let bench: IngestBench
  beforeEach(async () => {
    bench = await openIngestBench()
  })
  afterEach(() => bench.close())

  it('reads each blob once, though a hundred ask at once and others ask later', async () => {
    const request = bench.publish([randomBytes(300_000), randomBytes(200_000), randomBytes(9)])
    const all = Array.from({ length: 100 }, () => bench.ingester.ingest(request, { signal }))
    const results = await Promise.all(all)
    results.push(await bench.ingester.ingest(request, { signal }))
    expect(new Set(results.map(({ bundle }) => bundle)).size).to.equal(1)
    for (const { digest } of request.blobs) expect(bench.readsOf(digest)).to.equal(1)
    const bytes = results.reduce((sum, { registryBytes }) => sum + registryBytes, 0)
    expect(bytes).to.equal(request.blobs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0))
    expect(bench.announced).to.have.length(1)
  })

  it('reads the blobs that two images share once, at once or one after the other', async () => {
    const base = randomBytes(400_000)
    const versions = [1, 2].map(() => bench.publish([base, randomBytes(100_000)]))
    await Promise.all(versions.map((request) => bench.ingester.ingest(request, { signal })))
    const third = bench.publish([base, randomBytes(70_000)])
    const { registryBytes } = await bench.ingester.ingest(third, { signal })
    expect(bench.readsOf(digestOf(base))).to.equal(1)
    const config = third.blobs[0]!.sizeBytes
    expect(registryBytes).to.equal(70_000 + config)
  })

  it('reads at most three blobs of an image at a time, the config before all', async () => {
    const layers = 8
    const open = new Map<string, () => void>()
    let most = 0
    let left = layers + 1
    const order: string[] = []
    /** One when there are three, a moment later: a fourth would have come by then. */
    const answerNext = (): void => {
      const enough = order.length === 1 ? 1 : Math.min(3, left)
      if (open.size >= enough) setTimeout(() => [...open.values()].at(0)?.(), 20)
    }
    bench.registry.setFault((request, response) => {
      const path = request.url ?? ''
      if (path === '/v2/') return false
      order.push(path)
      const answer = (): void => {
        left -= 1
        open.delete(path)
        answerNext()
        sendBlob(response, bench.registry.blobs.get(path.slice(path.lastIndexOf('/') + 1))!)
      }
      open.set(path, answer)
      most = Math.max(most, open.size)
      answerNext()
      return true
    })
    const request = bench.publish(Array.from({ length: layers }, () => randomBytes(100)))
    await bench.ingester.ingest(request, { signal })
    expect(most).to.equal(3)
    expect(order[0]).to.contain(request.blobs[0]!.digest)
  })

  it('hands on a 401, and lets whoever has better credentials go on', async () => {
    bench.registry.setFault((request, response) => {
      const good = `Basic ${Buffer.from('tenant:right').toString('base64')}`
      if (request.headers.authorization === good) return false
      response.writeHead(401, { 'www-authenticate': 'Basic realm="r"' }).end()
      return true
    })
    const request = bench.publish([randomBytes(200_000)])
    const as = (password: string) =>
      bench.ingester.ingest(
        { ...request, credentials: createCredentials('tenant', password) },
        { signal },
      )
    const [wrong, right] = await Promise.allSettled([as('wrong'), as('right')])
    expect(wrong.status === 'rejected' && errorCode(wrong.reason)).to.equal('UNAUTHORIZED')
    expect(right.status).to.equal('fulfilled')
  })

  it('stops reading when the last who wants it has left, not before', async () => {
    const layer = randomBytes(1_000_000)
    const request = bench.publish([layer])
    const cut = Promise.withResolvers<void>()
    const asked = Promise.withResolvers<void>()
    bench.registry.setFault(({ url }, response) => {
      if (!url?.endsWith(request.blobs[1]!.digest)) return false
      response.setHeader('content-length', layer.length)
      response.write(layer.subarray(0, 500_000), () => asked.resolve())
      response.on('close', () => cut.resolve())
      return true
    })
    const leavers = [new AbortController(), new AbortController()] as const
    const pulls = leavers.map((leaver) =>
      failure(bench.ingester.ingest(request, { signal: leaver.signal })),
    )
    await asked.promise
    leavers[0].abort(new Error('first'))
    expect(await pulls[0]).to.have.property('message', 'first')
    const early = await Promise.race([cut.promise.then(() => 'cut'), Promise.resolve('reading')])
    expect(early).to.equal('reading')
    leavers[1].abort(new Error('second'))
    expect(await pulls[1]).to.have.property('message', 'second')
    await cut.promise
    bench.registry.setFault(undefined)
    await bench.ingester.ingest(request, { signal })
    expect(bench.readsOf(request.blobs[1]!.digest)).to.equal(2)
  })
})
